"""Tables for programs: csv and json, every column by its key."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from zslbench.report.tables.model import Cell, Table


def as_csv(table: Table) -> str:
    """The table as csv: a header and one line a row, numbers in full, an empty field for what is missing."""
    names, rows = _records(table)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_field(value) for value in row] for row in rows)
    return out.getvalue()


def as_json(table: Table) -> str:
    """The table as a json array of one object a row, null for what is missing."""
    names, rows = _records(table)
    records = [dict(zip(names, row, strict=True)) for row in rows]
    return json.dumps(records, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _records(table: Table) -> tuple[list[str], list[list[Any]]]:
    """Names of the fields and their values, row by row.

    Raises:
        ValueError: two fields have one name.
    """
    names: list[str] = []
    fields: list[list[Any]] = []
    keys = {column.key for column in table.columns}
    if any(row.group for row in table.rows) and "group" not in keys:
        names.append("group")
        fields.append([row.group for row in table.rows])
    for place, column in enumerate(table.columns):
        cells = [row.cells[place] for row in table.rows]
        names.append(column.key)
        fields.append([_value(cell) for cell in cells])
        for name, values in _beside(cells).items():
            names.append(f"{column.key}_{name}")
            fields.append(values)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two columns read alike once their levels are joined: {', '.join(twice)}")
    return names, [list(row) for row in zip(*fields, strict=True)]


def _beside(cells: list[Cell]) -> dict[str, list[Any]]:
    """What cells say beside their value, where any of the column says it."""
    said: dict[str, list[Any]] = {
        "rank": [cell.emphasis for cell in cells],
        "tied": [cell.tied for cell in cells],
        "mark": [cell.mark.strip() or None for cell in cells],
        "note": [cell.note or None for cell in cells],
    }
    return {name: values for name, values in said.items() if any(values)}


def _value(cell: Cell) -> Any:
    """The value; NaN and infinities have no number in json."""
    value = cell.value
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return str(value)
    return value


def _field(value: Any) -> Any:
    """A value for csv: its writer knows numbers and text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join("" if one is None else str(_field(one)) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={'' if one is None else _field(one)}" for key, one in value.items())
    return value
