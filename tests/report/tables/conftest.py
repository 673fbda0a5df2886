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
    gone = Cell(None, note="not run")
    rows = (
        Row(
            (
                Cell("a_b & co", "a_b & co"),
                Cell("done", "done"),
                Cell("57.3 ± 0.3", 57.3123, emphasis="best"),
                Cell("8.0 ± 1.5", 8.0, mark=" (2)"),
                Cell("50.0", 50.0, emphasis="second", tied=True),
                Cell("no data", note="sun is not here"),
            ),
            "embedding",
        ),
        Row(
            (
                Cell("published", "a_b & co"),
                Cell(None),
                Cell("60.1", 60.1, mark="‡", note="H is odd"),
                *[gone] * 3,
            ),
            "embedding",
            "published",
        ),
        Row(
            (
                Cell("<b>|x", "<b>|x"),
                Cell("done", "done"),
                Cell("55.0 ± 0.1", 55.0),
                Cell(None),
                Cell("51.0", 51.0, emphasis="best"),
                Cell("7", 7),
            ),
            "generative",
        ),
    )
    return Table(columns, rows, "Accuracy in %", ("‡ as printed",))
