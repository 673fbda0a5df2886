"""What README.md shows works: its command lines, its Python, and its plugin."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest

import zslbench
from zslbench.cli.main import cli
from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def blocks(language: str, below: str = "") -> list[str]:
    """The fenced blocks in a language, of the section with this heading alone if one is given."""
    text = README
    if below:
        text = README.split(f"## {below}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def command_lines() -> list[str]:
    """Every ``zslbench ...`` in a block or between backticks."""
    found = re.findall(r"`(zslbench [^`\n]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
    for block in blocks("sh"):
        found += [line.split("#")[0].strip() for line in block.splitlines() if line.startswith("zslbench ")]
    return found


def test_there_are_command_lines() -> None:
    assert len(command_lines()) > 10
    shown = {line.split()[1] for line in command_lines()}
    assert {"run", "runs", "show", "table", "methods", "datasets"} <= shown <= set(cli.registered)


@pytest.mark.parametrize("line", command_lines())
def test_command_line_means_something(line: str) -> None:
    name, *arguments = shlex.split(line)[1:]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    given = command.make_context(name, list(arguments)).params  # raises where an option is unknown
    known = registry()
    if name == "methods" and given["name"]:
        known.method(given["name"])
    if name == "run" and given["method"] != "prototype":  # that one is made below
        components = {kind: given[kind] for kind in ("embedding", "generator", "classifier")}
        resolve(
            known, given["dataset"], method=given["method"], variant=given["variant"], components=components,
            settings=given["settings"], epochs=given["epochs"],
        )  # fmt: skip


def test_options_that_the_text_names_exist() -> None:
    known = {
        option
        for name in cli.registered
        for parameter in cli.get_command(click.Context(cli), name).params  # type: ignore[union-attr]
        for option in parameter.opts
    }
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    named = set(re.findall(r"`(--[a-z-]+)", text))
    assert named
    assert named <= known


def test_python_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    (example,) = [block for block in blocks("python") if "zslbench.run(" in block]
    settings = {"generator.hidden": 8, "generator.per_class": 4, "classifier.epochs": 1}
    quick = partial(zslbench.run, epochs=1, threads=1, store=tmp_path, settings=settings, select="last")
    monkeypatch.setattr(zslbench, "run", quick, raising=False)
    exec(compile(example, "README.md", "exec"), {})
    assert "mean ± std" in capsys.readouterr().out


def test_methods_and_variants_that_the_table_names() -> None:
    table = README.split("## Methods\n", 1)[1].split("\n## ", 1)[0]
    known = {one.name: {two.name for two in one.declaration.variants} for one in registry().methods()}
    told = {}
    for row in re.findall(r"^\| `(.+?)`(.*?) \|", table, re.MULTILINE):
        told[row[0]] = set(re.findall(r"`([^`]+)`", row[1]))
    assert told == {name: known[name] for name in told}
    ours = {one.name for one in registry().methods() if one.plugin.distribution == "zslbench"}
    assert set(told) == ours


def test_length_of_the_smallest_plugin() -> None:
    said = re.search(r"plugins/zslbench_eszsl\) \((\d+) lines in all\)", README)
    assert said is not None
    files = (ROOT / "plugins" / "zslbench_eszsl").glob("*.py")
    assert int(said[1]) == sum(len(path.read_text("utf-8").splitlines()) for path in files)


def test_your_method_in_ten_lines(tmp_path: Path) -> None:
    """The three blocks, installed by hand: a package and the metadata that pip would write beside it."""
    (toml,) = blocks("toml", "Your method, in ten lines")
    site = tmp_path / "site"
    for block in blocks("python", "Your method, in ten lines"):
        name = re.match(r"# (my_method/\w+\.py)", block)
        assert name is not None
        (site / name[1]).parent.mkdir(parents=True, exist_ok=True)
        (site / name[1]).write_text(block, "utf-8")
    entry = re.search(r'\[project\.entry-points\.(\w+)\]\n([\w-]+) = "(\w+)"', toml)
    assert entry is not None
    info = site / "my_method-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-method\nVersion: 0.1\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2]} = {entry[3]}\n", "utf-8")

    environment = os.environ | {
        "PYTHONPATH": str(site), "ZSLBENCH_STORE": str(tmp_path / "store"), "OMP_NUM_THREADS": "1",
        "ZSLBENCH_STRICT_PLUGINS": "1",
    }  # fmt: skip
    (command,) = [line for line in command_lines() if "run prototype" in line]
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), "--threads=1", "--format=json"],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"method": "prototype"' in done.stdout
    h = re.search(r'"H": ([\d.]+)', done.stdout)
    assert h is not None
    assert float(h[1]) > 10  # far above the 5 % of chance: it learned something
