"""Tables on terminals of any width, and on pipes."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from zslbench.report.tables.model import Cell, Column, Row, Table
from zslbench.report.tables.render import emit, render


def test_a_pipe_gets_all_of_it_in_plain_text(table: Table) -> None:
    """Means stand below each other, whatever spread and marks are behind them."""
    assert render(table, "terminal").splitlines() == [
        "Accuracy in %",
        "",
        "                  ──────────────── cub ─────────────────       sun",
        "                          CZSL   ──────── GZSL ─────────      GZSL",
        "  method                   Acc               U         H         H",
        " ──────────────────────────────────────────────────────────────────",
        "  embedding",
        "    a_b & co      *57.3 ± 0.3*   8.0 ± 1.5 (2)   _50.0_≈   no data",
        "      published    60.1‡           –                 –           –",
        "",
        "  generative",
        "    <b>|x          55.0 ± 0.1      –             *51.0*          7",
        "",
        "*so*: best of its column; _so_: second; ≈: not shown to differ from the best",
        "‡ as printed",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What ``emit`` writes to a terminal so wide."""

    def shown(table: Table, width: int, *, colours: bool = False) -> str:
        out = _Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.delenv("NO_COLOR", raising=False)
        emit(table, "terminal")
        return out.getvalue() if colours else re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())

    return shown


def test_a_terminal_shows_bold_and_underlined(table: Table, on_terminal: Any) -> None:
    text = on_terminal(table, 100, colours=True)
    assert "\x1b[1m57.3 ± 0.3\x1b[0m" in text
    assert "\x1b[4m50.0\x1b[0m≈" in text
    assert "*" not in text
    assert "bold:" in text and "underlined:" in text
    assert re.search(r"\x1b\[2m\s*published", text)  # rows below another are dim


def test_a_terminal_without_styles_gets_the_marks_of_a_pipe(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = _Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", "dumb")
    emit(table, "terminal")
    assert "\x1b" not in out.getvalue()
    assert "*57.3 ± 0.3*" in out.getvalue()


def test_a_table_too_wide_is_parted_by_its_upper_headers(table: Table, on_terminal: Any) -> None:
    """Each part has the names of the rows; no figure is lost and the notes come once."""
    text = on_terminal(table, 60)
    assert max(map(len, text.splitlines())) <= 60
    assert text.count("a_b & co") == text.count("generative") == 2
    assert text.count("57.3 ± 0.3") == text.count("no data") == text.count("‡ as printed") == 1
    lines = text.splitlines()
    assert not any("cub" in line and "sun" in line for line in lines)


def test_no_digit_is_cut_off(table: Table, on_terminal: Any) -> None:
    text = on_terminal(table, 20)
    for word in ("57.3 ± 0.3", "8.0 ± 1.5 (2)", "50.0", "51.0", "60.1‡"):
        assert word in text


def test_words_are_folded(on_terminal: Any) -> None:
    columns = (Column(("name",), "name", numeric=False), Column(("what",), "what", numeric=False))
    words = " ".join(f"word{i}" for i in range(30))
    table = Table(columns, (Row((Cell("first-column"), Cell(words))),))
    text = on_terminal(table, 40)
    assert max(map(len, text.splitlines())) <= 40
    assert re.findall(r"word\d+", text) == words.split()
    assert words in render(table, "terminal")


def test_long_headers_have_room() -> None:
    columns = tuple(Column(("a header longer than all below it", name), name) for name in "ab")
    lines = render(Table(columns, (Row((Cell(1), Cell(2))),)), "terminal").splitlines()
    assert lines[1].strip(" ─") == "a header longer than all below it"
    assert lines[2].index("b") > lines[1].rindex("it")


@given(st.lists(st.text(), min_size=1, max_size=4))
@settings(max_examples=60)
def test_any_text_stays_on_its_line_and_moves_no_cursor(texts: list[str]) -> None:
    column = Column(("x",), "x", numeric=False)
    end = Column(("end",), "end", numeric=False)
    rows = tuple(Row((Cell(one), Cell("END"))) for one in texts)
    text = render(Table((column, end), rows), "terminal")
    assert text.count("\n") == len(texts) + 4
    assert text.count("END") >= len(texts)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_marks_of_the_table_are_explained_only_where_they_are(table: Table) -> None:
    rows = tuple(replace(row, cells=(row.cells[0], *[Cell(1)] * 5)) for row in table.rows)
    assert "best" not in render(replace(table, rows=rows), "terminal")
