"""Published rows as a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from zslbench.evaluation.metrics import METRICS
from zslbench.experiment.published.rows import DISPUTED_MARK, DISPUTED_NOTE, FIGURES, PublishedRow
from zslbench.report.tables.model import Cell, Column, Row, Table


def published_table(rows: Sequence[PublishedRow], title: str = "", *, notes: bool = True) -> Table:
    """One line for each row: figures as they are printed, where from, how they came about.

    Args:
        notes: whether readers see the notes of rows as a column; programs always do.
    """
    columns = [
        _told("method"),
        _told("variant", readers=any(one.variant for one in rows)),
        _told("group", readers=False),
        _told("citation", readers=False),
        Column(("", "data set"), "dataset", numeric=False),
        *(Column((one.group, one.name), one.key) for one in METRICS.values() if one.published),
        Column(("", "H recomputed"), "h_recomputed", readers=False),
        _told("disputed", readers=False),
        _told("semantics"),
        Column(("", "backbone"), "finetuned", numeric=False),
        _told("features", readers=any(one.features for one in rows)),
        _told("source"),
        Column(("", "printed by"), "origin", numeric=False),
        _told("note", readers=notes and any(one.note for one in rows)),
    ]
    said = [DISPUTED_NOTE] if any(one.disputed for one in rows) else []
    if said and not notes:
        said += [f"{one.method} on {one.dataset} ({one.source}): {one.note}" for one in rows if one.disputed]
    return Table(tuple(columns), tuple(Row(tuple(_cells(one))) for one in rows), title, tuple(said))


def _told(name: str, readers: bool = True) -> Column:
    return Column(("", name), name, numeric=False, readers=readers)


def _cells(row: PublishedRow) -> Iterable[Cell]:
    for text in (row.method, row.variant, row.group, row.citation, row.dataset):
        yield Cell(text or None, text or None)
    for name in FIGURES:
        value = row.figures[name]
        mark = DISPUTED_MARK if row.disputed and name == "H" else ""
        yield Cell(row.text(name), None if math.isnan(value) else value, mark=mark)
    again = None if math.isnan(row.h_recomputed) else round(row.h_recomputed, 4)
    yield Cell(None if again is None else f"{again:.2f}", again)
    yield Cell("yes" if row.disputed else "no", row.disputed)
    yield Cell(row.semantics, row.semantics)
    yield Cell("fine-tuned" if row.finetuned else "frozen", row.finetuned)
    for text in (row.features, row.source, row.origin, row.note):
        yield Cell(text or None, text or None)
