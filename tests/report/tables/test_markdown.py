"""Tables as markdown, read back by a markdown parser."""

from __future__ import annotations

import html
import re

from hypothesis import given, settings, strategies as st
from markdown_it import MarkdownIt

from zslbench.report.tables.markup import markdown_escaped as escaped
from zslbench.report.tables.model import Cell, Column, Row, Table, one_line
from zslbench.report.tables.render import render

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def test_the_whole_table(table: Table) -> None:
    assert render(table, "markdown").splitlines() == [
        "**Accuracy in %**",
        "",
        "| method          |   cub CZSL Acc |    cub GZSL U |   cub GZSL H | sun GZSL H |",
        "| --------------- | -------------: | ------------: | -----------: | ---------: |",
        "| *embedding*     |                |               |              |            |",
        "| a_b & co        | **57.3 ± 0.3** | 8.0 ± 1.5 (2) | <u>50.0</u>≈ |    no data |",
        "| &emsp;published |          60.1‡ |             – |            – |          – |",
        "| *generative*    |                |               |              |            |",
        r"| \<b>\|x         |     55.0 ± 0.1 |             – |     **51.0** |          7 |",
        "",
        "- bold: best of its column; underlined: second; ≈: not shown to differ from the best",
        "- ‡ as printed",
    ]


TEXT = st.text() | st.text(alphabet="\\*_`|~$<>&[]()#+-.!:;/ab1 \"'", max_size=20)


def _plain(rendered: str) -> str:
    assert not re.search(r"<(?!/?(?:p|td|th|tr|table|thead|tbody)\b)", rendered), rendered
    return html.unescape(re.sub(r"<[^>]*>", "", rendered))


@given(st.lists(TEXT, min_size=1, max_size=3))
@settings(max_examples=150)
def test_any_text_survives_in_a_cell(texts: list[str]) -> None:
    columns = (Column(("first",), "a", numeric=False), Column(("x",), "x", numeric=False))
    rows = tuple(Row((Cell("r"), Cell(one))) for one in texts)
    rendered = PARSER.render(render(Table(columns, rows), "markdown"))
    cells = re.findall(r"<td>(.*?)</td>", rendered, re.DOTALL)
    assert len(cells) == 2 * len(texts), rendered
    assert [_plain(cell) for cell in cells[1::2]] == [one_line(text) for text in texts]


@given(TEXT.filter(lambda text: text.strip()))
@settings(max_examples=100)
def test_any_text_survives_in_a_note(text: str) -> None:
    rendered = PARSER.renderInline(escaped(one_line(text)))
    assert _plain(rendered) == one_line(text)


def test_what_needs_no_escape_has_none() -> None:
    assert escaped("sc_egg [authors] (2) a & b < c") == "sc_egg [authors] (2) a & b < c"
    assert escaped("[a](b) *x* _y_ &amp; <i>") == r"[a\](b) \*x\* \_y\_ \&amp; \<i>"
