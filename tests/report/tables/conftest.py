"""A table with everything that a table can have."""

from __future__ import annotations

import pytest

from zslbench.report.tables.model import Cell, Column, Row, Table


@pytest.fixture
def table() -> Table:
    """Two groups, a row below another, joined headers, every mark, a column for programs alone."""
    columns = (
        Column(("", "", "method"), "line", numeric=False),
        Column(("", "", "state"), "state", numeric=False, readers=False),
        Column(("cub", "CZSL", "Acc"), "cub_acc"),
        Column(("cub", "GZSL", "U"), "cub_u"),
        Column(("cub", "GZSL", "H"), "cub_h"),
        Column(("sun", "GZSL", "H"), "sun_h"),
    )
    gone = Cell(note="not run")
    rows = (
        Row(
            (
                Cell("a_b & co"),
                Cell("done"),
                Cell(57.3123, spread=0.3, emphasis="best"),
                Cell(8.0, spread=1.5, mark=" (2)"),
                Cell(50.0, emphasis="second", tied=True),
                Cell(words="no data", note="sun is not here"),
            ),
            "embedding",
        ),
        Row(
            (
                Cell("a_b & co", "published"),
                Cell(),
                Cell(60.1, mark="‡", note="H is odd"),
                *[gone] * 3,
            ),
            "embedding",
            "published",
        ),
        Row(
            (
                Cell("<b>|x"),
                Cell("done"),
                Cell(55.0, spread=0.1),
                Cell(),
                Cell(51.0, emphasis="best"),
                Cell(7),
            ),
            "generative",
        ),
    )
    return Table(columns, rows, "Accuracy in %", ("‡ as printed",))
