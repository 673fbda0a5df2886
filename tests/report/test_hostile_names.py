"""Names that are markup or control to someone, in every format of the commands that show them."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hostile import NAMES, obeyed
from markdown_it import MarkdownIt

from zslbench.cli.main import cli
from zslbench.output import visible
from zslbench.report.tables.model import one_line
from zslbench.report.tables.render import FORMATS, csv_safe, emit, json_text, render
from zslbench.store.store import Store
from zslbench.testing.fakes import fake_record

FORMULA = re.compile(r"\s*[=+@＝＋－＠-](?![\d.]+$)")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with a run of each name: as method, data set, variant, setting, metric, stage, note."""
    found = Store(tmp_path_factory.mktemp("hostile") / "store")
    for name in NAMES.values():
        fake_record(
            found,
            method=name,
            dataset=name[:300],
            variant=name or None,
            identity={"settings/classifier/word": name, "versions": {name: name}},
            metrics={name or "none": 0.5},
            environment={"preset": name, "stages": [{"stage": name, "reused": False, "seconds": 1.0}]},
        )
    return found


@pytest.fixture(scope="module")
def call(store: Store) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, [*arguments, "--store", str(store.root)])

    return run


def commands(store: Store) -> list[tuple[str, ...]]:
    ids = [one.info.id for one in store.records()]
    shown = [("show", one) for one in ids[::4]]
    return [("runs",), ("table", "--show", "published,interval"), ("compare", ids[0], ids[1]), *shown]


@pytest.mark.parametrize("fmt", FORMATS)
def test_no_command_writes_anything_that_is_obeyed(call: Any, store: Store, fmt: str) -> None:
    for command in commands(store):
        result = call(*command, "--format", fmt)
        assert result.exit_code in (0, 1), (command, result.stderr)  # 1: runs that cannot be compared
        assert "a bug" not in result.stderr
        assert obeyed(result.output) == []


def test_json_has_the_very_names(call: Any, store: Store) -> None:
    rows = json.loads(call("runs", "--format", "json").stdout)
    assert {row["dataset"] for row in rows} == {name[:300] for name in NAMES.values()}
    record = next(one for one in store.records() if one.info.method == NAMES["bidi"])
    shown = json.loads(call("show", record.info.id, "--format", "json").stdout)
    assert NAMES["bidi"] in {row["value"] for row in shown if row["name"] == "method"}
    assert {row["dataset"] for row in json.loads(call("table", "--format", "json").stdout)} == {
        visible(name[:300]) if name == NAMES["surrogate"] else name[:300] for name in NAMES.values()
    }
    for name in NAMES.values():
        text = json_text({name: [name]})
        assert obeyed(text) == []
        assert json.loads(text) == {name: [name]}


@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("command", ["runs", "table"])
def test_csv_reads_back(call: Any, command: str, safe: bool) -> None:
    text = call(command, "--format", "csv", *["--csv-safe"] * safe).stdout
    header, *rows = csv.reader(io.StringIO(text))
    assert len(rows) == len(NAMES)
    assert {len(row) for row in rows} == {len(header)}
    written = {row[header.index("dataset")] for row in rows}
    expected = {"\n".join(visible(line) for line in name[:300].split("\n")) for name in NAMES.values()}
    assert {one.removeprefix("'") if safe else one for one in written} == expected
    assert any(map(FORMULA.match, written)) != safe


def test_cells_of_safe_csv_are_no_formulas_wherever_they_are() -> None:
    values: list[Any] = [
        "=1+1",
        "\t=1",
        "\r=1",
        "-1+2",
        "@x",
        "＝1",
        ["=a", "b"],
        {"=k": 1},
        "-1.5e-3",
        "-x",
        -2,
        None,
    ]
    with csv_safe():
        header, *rows = csv.reader(io.StringIO(render([{"=h": one} for one in values], "csv")))
    assert header == ["'=h"]
    shown = [row[0] for row in rows]
    assert shown == [
        "'=1+1", " =1", " =1", "'-1+2", "'@x", "'＝1", "'=a, b", "'=k=1", "-1.5e-3", "'-x", "-2", "",
    ]  # fmt: skip
    assert render([{"x": "=1"}], "csv") == "x\n=1\n"


def test_markdown_renders_to_the_names() -> None:
    rows = [{"name": name, f"h {name[:40]}": "x"} for name in NAMES.values()]
    text = render(rows, "markdown", title=NAMES["markdown"])
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    cells = [token for before, token in itertools.pairwise(tokens) if before.type == "td_open"]
    columns = len(rows) + 1
    assert len(cells) == len(rows) * columns
    for cell, name in zip(cells[::columns], NAMES.values(), strict=True):
        assert {child.type for child in cell.children} <= {"text"}
        assert " ".join("".join(child.content for child in cell.children).split()) == one_line(name)


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}


def test_html_has_no_element_of_theirs(call: Any, store: Store) -> None:
    allowed = {"table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "li", "b", "u", "span"}
    allowed |= {"class", "scope", "colspan", "data-value", "title"}
    for command in commands(store):
        assert _Tags(call(*command, "--format", "html").stdout).found <= allowed


def test_latex_has_no_command_of_theirs(call: Any) -> None:
    text = call("table", "--format", "latex").stdout
    for theirs in (r"\input{", r"\frac{", r"$x$", "/c calc'!A1 &"):
        assert theirs not in text
    bare = re.sub(r"\\[%&#_${}]|\$\\?[A-Za-z^{}\\-]*\$", "", text)
    assert not re.search("[#$]|(?<!%)%.*[^ a-z]$", bare)
    assert bare.count("{") == bare.count("}")


@pytest.mark.parametrize("name", NAMES, ids=NAMES)
def test_a_terminal_obeys_no_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    text, out = NAMES[name], Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    emit([{"name": text, f"h {text}": text, "n": 1.0}], "terminal", title=text)
    assert obeyed(out.getvalue(), terminal=True) == []
    if 2 < len(text) < 30 and text.isprintable():
        assert out.getvalue().count(text) >= 3


TYPED = (
    "run {} --dataset=toy", "run eszsl --dataset={}", "run eszsl --dataset=toy --set=classifier.{}=1",
    "run eszsl --dataset=toy --preset={}.toml", "bench {}.toml", "show x{}", "published x{}", "methods x{}",
    "data info x{} --data-root=nowhere", "runs --format={}", "table --show=x{}", "plot tsne x{}",
    "x{}", "--x{}", "runs --x{}", "run eszsl --dataset=toy --threads={}",
)  # fmt: skip


def test_what_is_typed_comes_back_harmless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command with a quarter of the names."""
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path / "store"))
    for place, name in enumerate(NAMES.values()):
        if "\0" in name or "\ud83d" in name:  # no command line can have one
            continue
        for line in TYPED[place % 4 :: 4]:
            arguments = [word.replace("{}", name) for word in line.split()]
            result = CliRunner().invoke(cli, arguments)
            assert result.exit_code in (1, 2), (arguments, result.output)
            assert obeyed(result.output) == [], arguments
            assert "a bug" not in result.stderr, (arguments, result.stderr)
            assert sum(one.startswith("Error: ") for one in result.stderr.splitlines()) == 1
