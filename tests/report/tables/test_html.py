"""Tables as HTML, read back by Python's own parser."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given, settings, strategies as st

from zslbench.report.tables.model import Cell, Column, Row, Table, one_line
from zslbench.report.tables.render import render

VOID = {"br", "hr", "img", "meta", "input", "link"}


class Read(HTMLParser):
    """The cells of a table, and whether every element was closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.rows: list[list[tuple[str, dict[str, str | None], str]]] = []
        self.bodies = 0
        self.notes: list[str] = []
        self.caption = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in VOID
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append((tag, dict(attrs), ""))
        elif tag == "tbody":
            self.bodies += 1
        elif tag == "li":
            self.notes.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "li" in self.open:
            self.notes[-1] += data
        elif "caption" in self.open:
            self.caption += data
        elif {"td", "th"} & set(self.open):
            tag, attributes, text = self.rows[-1][-1]
            self.rows[-1][-1] = (tag, attributes, text + data)


def test_the_whole_table(table: Table) -> None:
    found = Read(render(table, "html"))
    assert (found.caption, found.bodies) == ("Accuracy in %", 2)
    assert [[cell[2] for cell in row] for row in found.rows] == [
        ["", "cub", "sun"],
        ["", "CZSL", "GZSL", "GZSL"],
        ["method", "Acc", "U", "H", "H"],
        ["embedding"],
        ["a_b & co", "57.3 ± 0.3", "8.0 ± 1.5 (2)", "50.0≈", "no data"],
        ["published", "60.1‡", "–", "–", "–"],
        ["generative"],
        ["<b>|x", "55.0 ± 0.1", "–", "51.0", "7"],
    ]
    assert found.notes == [
        "bold: best of its column; underlined: second; ≈: not shown to differ from the best",
        "‡ as printed",
    ]
    for row in found.rows:  # every row is as wide as the table
        assert sum(int(cell[1].get("colspan") or 1) for cell in row) == 5


def test_meaning_is_in_classes_and_attributes(table: Table) -> None:
    text = render(table, "html")
    found = Read(text)
    (_, _, leaves, group, first, _, _, _) = found.rows
    assert [cell[1].get("scope") for cell in found.rows[0]] == [None, "colgroup", "col"]
    assert all(cell[1]["scope"] == "col" for cell in leaves)
    assert group[0][1] == {"scope": "rowgroup", "colspan": "5"}
    name, best, _, second, gone = (cell[1] for cell in first)
    assert name == {"scope": "row", "data-value": "a_b & co"}
    assert best == {"class": "number best", "data-value": "57.3123"}
    assert second == {"class": "number second tied", "data-value": "50.0"}
    assert gone == {"class": "number missing", "title": "sun is not here"}
    assert '<tr class="below published">' in text
    assert "style=" not in text
    assert "<b>57.3 ± 0.3</b>" in text
    assert '<u>50.0</u><span class="mark">≈</span>' in text


@given(st.text(), st.text(), st.text())
@settings(max_examples=100)
def test_any_text_survives(text: str, note: str, title: str) -> None:
    columns = (Column(("first",), "a", numeric=False), Column((text,), "x", numeric=False))
    rows = (Row((Cell("r"), Cell(text, note=note, mark="†"))),)
    found = Read(render(Table(columns, rows, title, (note,)), "html"))
    _, attributes, shown = found.rows[1][1]
    line = one_line(text)
    assert shown == f"{line}†"
    assert attributes.get("data-value") == line
    assert attributes.get("title", "") == one_line(note)
    assert found.rows[0][1][2] == line
    assert found.caption == one_line(title)
    assert found.notes == [one_line(note)]
