"""``zslbench table``: methods by data sets, from the runs in the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zslbench.cli.options import (
    emit_notes,
    filter_options,
    format_option,
    metrics_option,
    note_empty,
    store_option,
)
from zslbench.report.tables.render import emit

if TYPE_CHECKING:
    from zslbench.report.filters import Filters


@click.command()
@filter_options
@click.option(
    "--show",
    metavar="WHAT,...",
    help="What the table shows in addition: published, difference (ours minus published), interval "
    "(± half of a 95 % interval instead of ± std).",
)
@metrics_option
@store_option
@format_option
def table(store: Path | None, fmt: str, show: str | None, metrics: str | None, filters: Filters) -> None:
    """Compare methods on data sets: CZSL Acc and GZSL U, S, H, mean ± std over the seeds in the store.

    With --dataset 'NAME/*' the splits in folder NAME share a row: mean ± std over splits.

    The best of comparable rows is marked, and so are rows tied with it. csv and json are always complete,
    regardless of --show.
    """
    from zslbench.evaluation.metrics import metrics_named
    from zslbench.report.comparison import SHOW, comparison_frame, comparison_table
    from zslbench.report.figures import parse_choices
    from zslbench.report.results import trust_notes
    from zslbench.store.store import Store

    shown, named = parse_choices(show, SHOW), metrics_named(metrics)
    where = Store.default(store)
    records = filters.finished(where.records())
    if not records:
        note_empty(where, filters)
        emit([], fmt)
        return
    if fmt in ("csv", "json"):
        emit(comparison_frame(records, metrics=named, split_sets=filters.split_sets), fmt)
        emit_notes(trust_notes(records), fmt)
    else:
        emit(comparison_table(records, shown, metrics=named, split_sets=filters.split_sets), fmt)
