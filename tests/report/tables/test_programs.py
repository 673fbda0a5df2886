"""Tables for programs: everything by key, in full."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings, strategies as st

from zslbench.output import visible_lines
from zslbench.report.tables.model import Cell, Column, Row, Table
from zslbench.report.tables.render import FORMATS, emit, render


def test_json_has_all_columns_and_what_cells_say_beside_their_value(table: Table) -> None:
    first, below, last = json.loads(render(table, "json"))
    assert first == {
        "group": "embedding",
        "line": "a_b & co",
        "state": "done",
        "cub_acc": 57.3123,
        "cub_acc_rank": "best",
        "cub_acc_mark": None,
        "cub_acc_note": None,
        "cub_u": 8.0,
        "cub_u_mark": "(2)",
        "cub_u_note": None,
        "cub_h": 50.0,
        "cub_h_rank": "second",
        "cub_h_tied": True,
        "cub_h_note": None,
        "sun_h": None,
        "sun_h_note": "sun is not here",
    }
    assert (below["cub_acc_mark"], below["cub_acc_note"], below["cub_u_note"]) == ("‡", "H is odd", "not run")
    assert (last["group"], last["cub_h_rank"], last["cub_h_tied"], last["sun_h"]) == (
        "generative",
        "best",
        False,
        7,
    )
    assert list(first) == list(below) == list(last)


def test_csv_says_the_same(table: Table) -> None:
    records = json.loads(render(table, "json"))
    rows = list(csv.DictReader(io.StringIO(render(table, "csv"))))
    for row, record in zip(rows, records, strict=True):
        assert list(row) == list(record)
        for key, value in record.items():
            text = (
                {None: "", True: "true", False: "false"}.get(value, value)
                if not value or value is True
                else value
            )
            assert row[key] == str("" if value is None else text)


@given(st.text() | st.none(), st.floats(allow_infinity=False) | st.integers() | st.booleans() | st.none())
@settings(max_examples=100)
def test_any_value_survives(text: str | None, value: float | int | bool | None) -> None:
    columns = (Column(("a",), "a", numeric=False), Column(("b",), "b"))
    table = Table(columns, (Row((Cell(text), Cell(value, "shown"))),))
    expected = {"a": text, "b": None if value != value else value}
    assert json.loads(render(table, "json")) == [expected]
    reader = csv.DictReader(io.StringIO(render(table, "csv"), newline=""))
    ((_, given_text), (_, given_value)) = next(reader).items()
    assert given_text == visible_lines(text or "")
    if isinstance(value, float) and value == value:
        assert float(given_value) == value  # every bit


def test_two_columns_of_one_key_are_refused() -> None:
    columns = (Column(("a",), "x"), Column(("b",), "x"))
    for fmt in ("csv", "json"):
        with pytest.raises(ValueError, match="x"):
            render(Table(columns, ()), fmt)


@pytest.mark.parametrize("fmt", ["csv", "json"])
def test_notes_are_beside_the_rows(table: Table, fmt: str, capsys: pytest.CaptureFixture[str]) -> None:
    emit(table, fmt)
    out, err = capsys.readouterr()
    assert out == render(table, fmt)
    assert err == "note: ‡ as printed\n"


@pytest.mark.parametrize("fmt", FORMATS)
def test_nothing_is_shown_as_nothing(fmt: str, capsys: pytest.CaptureFixture[str]) -> None:
    emit(Table((), ()), fmt)
    assert capsys.readouterr().out.strip() == ("[]" if fmt == "json" else "")
