"""One table in every format."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from zslbench.report.tables.model import MISSING, Cell, as_table, is_missing
from zslbench.report.tables.render import FORMATS, emit, json_text, render


@pytest.fixture
def results() -> pd.DataFrame:
    columns = [
        ("method", "", ""),
        ("cub", "CZSL", "Acc"),
        ("cub", "GZSL", "U"),
        ("cub", "GZSL", "S"),
        ("cub", "GZSL", "H"),
        ("sun", "GZSL", "H"),
    ]
    rows = [
        ["sc_egg", Cell(66.9, spread=0.3), 57.123456, 60.0, 58.5, np.nan],
        ["A&B 50%", Cell(61.0, mark="†"), None, 3, 4.25, Cell(12.5, spread=1.0)],
    ]
    return pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples(columns))


def test_terminal(results: pd.DataFrame) -> None:
    lines = render(results, "terminal", title="Table [1]").splitlines()
    assert lines[0] == "Table [1]"
    assert [line.replace("─", " ").split() for line in lines if line.strip()][1:] == [
        ["method", "cub", "sun"],
        ["CZSL", "GZSL", "GZSL"],
        ["Acc", "U", "S", "H", "H"],
        [],
        ["sc_egg", "66.9", "±", "0.3", "57.12", "60.00", "58.50", "–"],
        ["A&B", "50%", "61.0†", "–", "3.00", "4.25", "12.5", "±", "1.0"],
    ]
    # A header reaches over its columns: from the first figure of cub to the last, and over U, S and H.
    assert lines[2].index("─") == lines[6].index("66.9") == lines[7].index("61.0")
    assert lines[3].rindex("─") == lines[2].rindex("─") == lines[4].index("H")


def test_markdown(results: pd.DataFrame) -> None:
    lines = render(results, "markdown", title="T").splitlines()
    assert lines[:2] == ["**T**", ""]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells[0] == ["method", "cub CZSL Acc", "cub GZSL U", "cub GZSL S", "cub GZSL H", "sun GZSL H"]
    assert [cell.endswith(":") for cell in cells[1]] == [False, True, True, True, True, True]
    assert cells[3] == ["A&B 50%", "61.0†", "–", "3.00", "4.25", "12.5 ± 1.0"]


def test_markdown_escapes_its_own_marks() -> None:
    assert r"a\|b" in render([{"x|y": "a|b"}], "markdown")
    assert r"x\|y" in render([{"x|y": "a|b"}], "markdown")
    assert render([{"x": "two\nlines"}], "markdown").count("\n") == 3


def test_csv_carries_full_numbers_and_reads_back(results: pd.DataFrame) -> None:
    text = render(results, "csv", title="never shown")
    header, first, second = csv.reader(io.StringIO(text))
    assert header[:3] == ["method", "cub CZSL Acc", "cub CZSL Acc_mark"]
    assert header[3:] == ["cub GZSL U", "cub GZSL S", "cub GZSL H", "sun GZSL H"]
    assert first == ["sc_egg", "66.9", "", "57.123456", "60.0", "58.5", ""]
    assert second[2:4] == ["†", ""]
    back = pd.read_csv(io.StringIO(text))
    assert back["cub GZSL U"].tolist()[0] == 57.123456
    assert back["sun GZSL H"].isna().tolist() == [True, False]


def test_json_is_records_with_null(results: pd.DataFrame) -> None:
    first, second = json.loads(render(results, "json", title="never shown"))
    assert first["cub GZSL U"] == 57.123456
    assert first["sun GZSL H"] is None
    assert second["cub GZSL U"] is None
    assert second["method"] == "A&B 50%"


def test_latex(results: pd.DataFrame) -> None:
    text = render(results, "latex", title="U_S & 50%")
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 1
    assert r"\caption{U\_S \& 50\%}" in text
    assert r"\begin{tabular}{lrrrrr}" in text
    assert r"method & \multicolumn{4}{c}{cub} & sun \\" in text
    assert r"\multicolumn{3}{c}{GZSL}" in text
    text = re.sub(r"\\phantom\{[^}]*\}|\\rlap\{([^}]*)\}", r"\1", text)  # room for spreads, and marks in it
    assert r"sc\_egg & 66.9 $\pm$ 0.3 & 57.12 & 60.00 & 58.50 & -- \\" in text
    assert r"A\&B 50\% & 61.0$^\dagger$ & -- &" in text
    assert render(results, "latex").startswith(r"\begin{tabular}")


LATEX_SPECIAL = r"\&%$#_{}~^<>|[]±†λ–"


@given(st.lists(st.text(alphabet=LATEX_SPECIAL + "ab", min_size=1), min_size=1, max_size=4))
@settings(max_examples=50)
def test_latex_leaves_nothing_unescaped(texts: list[str]) -> None:
    text = render([{"a": one, "b": "end"} for one in texts], "latex")
    body = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    rows = body.splitlines()
    assert len(rows) == len(texts)
    for row, original in zip(rows, texts, strict=True):
        assert row.endswith(r" & end \\")
        assert not row.startswith("[")
        cell = row.removesuffix(r" & end \\")
        # Once every known command is taken away, no special sign may be left.
        bare = re.sub(r"\\text(backslash|asciitilde|asciicircum|less|greater|bar)\{\}", "", cell)
        bare = bare.replace("{[}", "").replace("{]}", "").replace("{}", "")
        bare = re.sub(r"\$(\\pm|\^\\dagger|\\lambda)\$", "", bare)
        bare = re.sub(r"\\[&%$#_{}]", "", bare)
        assert set(bare) <= set("ab-"), (original, cell)


@pytest.mark.parametrize("fmt", ["terminal", "markdown", "latex"])
def test_missing_is_never_nan(fmt: str) -> None:
    values = [None, np.nan, pd.NA, pd.NaT, np.float32("nan")]
    text = render(pd.DataFrame({"x": pd.Series(values, dtype=object)}), fmt)
    assert text.count("--" if fmt == "latex" else MISSING) >= 5
    assert "nan" not in text.lower()
    assert "NaT" not in text
    assert json.loads(render([{"x": one} for one in values], "json")) == [{"x": None}] * 5


def test_missing_kinds() -> None:
    assert all(is_missing(one) for one in (None, float("nan"), np.nan, pd.NA, pd.NaT))
    assert not any(is_missing(one) for one in (0, "", "nan", [], False, np.inf, np.int64(0)))


def test_values_by_type() -> None:
    row: dict[str, Any] = {
        "float": np.float32(0.5),
        "int": np.int64(7),
        "true": np.bool_(True),
        "list": ["a", "b"],
        "map": {"k": 1},
        "inf": float("inf"),
        "markup": "[bold]x[/bold] :smile:",
    }
    cells = render([row], "terminal").splitlines()[-2]
    assert cells.split("  ")[1:][0].strip() == "0.50"
    for text in (" 7 ", " yes ", " a, b ", " k=1 ", " inf ", "[bold]x[/bold] :smile:"):
        assert text in f"{cells} "
    assert json.loads(render([row], "json"))[0] == {
        "float": 0.5,
        "int": 7,
        "true": True,
        "list": ["a", "b"],
        "map": {"k": 1},
        "inf": "inf",
        "markup": "[bold]x[/bold] :smile:",
    }
    assert list(csv.reader(io.StringIO(render([row], "csv"))))[1] == [
        "0.5",
        "7",
        "true",
        "a, b",
        "k=1",
        "inf",
        "[bold]x[/bold] :smile:",
    ]


def test_decimals_are_for_people() -> None:
    assert "0.1235" in render([{"x": 0.123456}], "markdown", decimals=4)
    assert "0.123456" in render([{"x": 0.123456}], "csv", decimals=1)


def test_alignment_tells_numbers_from_text() -> None:
    number = Cell(45.1, spread=0.3, mark="†")
    rows = [{"n": number, "i": 3, "v": "0.1.0", "t": "3", "b": True, "m": None, "neg": -1.5}]
    assert {column.key: column.numeric for column in as_table(rows).columns} == {
        "n": True,
        "i": True,
        "v": False,
        "t": False,
        "b": False,
        "m": False,
        "neg": True,
    }


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_named_index_becomes_columns(fmt: str) -> None:
    index = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")], names=["method", "variant"])
    text = render(pd.DataFrame({"H": [1.5, 2.5]}, index=index), fmt)
    assert all(part in text for part in ("method", "variant", "x", "y"))
    assert "0" not in render(pd.DataFrame({"H": ["p", "q"]}), "csv")


@pytest.mark.parametrize("fmt", FORMATS)
def test_empty_tables(fmt: str, results: pd.DataFrame) -> None:
    assert isinstance(render([], fmt), str)
    text = render(results.iloc[:0], fmt)
    assert "nan" not in text
    if fmt == "json":
        assert json.loads(text) == []
    else:
        assert "GZSL" in text


def test_wide_tables_are_whole_where_nobody_watches() -> None:
    text = render([{"name": "x" * 300, "words": "word " * 100}], "terminal")
    assert "x" * 300 in text
    assert ("word " * 100).strip() in text


@pytest.mark.parametrize("fmt", ["csv", "json"])
def test_columns_that_read_alike_are_refused(fmt: str) -> None:
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b c"), ("a b", "c")]))
    with pytest.raises(ValueError, match="a b c"):
        render(frame, fmt)


def test_unknown_format() -> None:
    with pytest.raises(ValueError, match="no format 'pdf'"):
        render([], "pdf")


@pytest.mark.parametrize("fmt", FORMATS)
def test_emit_writes_what_render_gives(
    fmt: str, results: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    emit(results, fmt, title="T")
    out, err = capsys.readouterr()
    assert (out, err) == (render(results, fmt, title="T"), "")


def test_a_terminal_is_not_overrun(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    emit(
        [{"name": "a-long-method-name", "words": "word " * 40, "more": "other " * 40, "last": "x " * 90}],
        "terminal",
    )
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in out.getvalue().splitlines()]
    assert max(map(len, lines)) <= 60
    assert sum(line.count("word") for line in lines) == 41
    assert any("a-long-method-name" in line for line in lines)


def test_nested_json() -> None:
    value = {"a": [1, np.float64("nan"), {"b": pd.NA, "c": np.int32(2)}], "–": "λ"}
    assert json.loads(json_text(value)) == {"a": [1, None, {"b": None, "c": 2}], "–": "λ"}
    assert "λ" in json_text(value)


def test_records_need_no_pandas() -> None:
    code = (
        "import sys; from zslbench.report import FORMATS, render\n"
        "for fmt in FORMATS: render([{'a': 1, 'b': None}], fmt)\n"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
