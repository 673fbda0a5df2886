"""Results in the store: ``zslbench show``, ``table`` and ``compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zslbench.cli.options import (
    data_root_option,
    emit_notes,
    filter_options,
    format_option,
    metrics_option,
    note,
    note_empty,
    store_option,
)
from zslbench.errors import PluginError, ZslbenchError
from zslbench.output import echo
from zslbench.report.tables.render import emit

if TYPE_CHECKING:
    from zslbench.report.filters import Filters

CONFUSIONS = 20
"""How many confusions of each task are shown to readers."""

_EMPTY = {
    "epochs": "this run has no epochs: it is a closed-form solution or external",
    "curve": "this run has no curve: it has no GZSL scores",
}


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--classes", is_flag=True, help="Show the accuracy of every class.")
@click.option("--epochs", is_flag=True, help="Show the metrics of every epoch.")
@click.option(
    "--predictions", is_flag=True, help="Show the predicted class of every test image, with its file's name."
)
@click.option(
    "--confusions",
    is_flag=True,
    help=f"Show the {CONFUSIONS} most frequent confusions of each task; csv and json have the whole matrix.",
)
@click.option("--curve", is_flag=True, help="Show the points of the seen-unseen curve.")
@data_root_option
@store_option
@format_option
def show(
    run_id: str,
    classes: bool,
    epochs: bool,
    predictions: bool,
    confusions: bool,
    curve: bool,
    data_root: Path | None,
    store: Path | None,
    fmt: str,
) -> None:
    """Show a run: metrics, settings, data, environment. RUN is its id or the first characters of it."""
    from zslbench.plugin.discovery import registry
    from zslbench.report.one_run import explain_run, run_details
    from zslbench.store.store import Store

    if classes + epochs + predictions + confusions + curve > 1:
        raise click.UsageError("give one of --classes, --epochs, --predictions, --confusions and --curve")
    where = Store.default(store)
    record = where.resolve(run_id)
    if faults := record.verify():
        note("files differ from what was written: " + "; ".join(faults))
    if classes or epochs or curve:
        table = record.table("classes" if classes else "epochs" if epochs else "curve")
        if table.empty:
            note(_EMPTY["curve" if curve else "epochs"])
        emit(table, fmt, title=record.info.id, decimals=4 if curve else 2)
        return
    if confusions:
        from zslbench.report.predictions import confusions_frame, most_confused

        matrix = confusions_frame(record)
        emit(matrix if fmt in ("csv", "json") else most_confused(matrix, CONFUSIONS), fmt, decimals=1)
        return
    known = registry()
    if predictions:
        from zslbench.report.predictions import predictions_frame

        found = predictions_frame(record, known, data_root)
        if found["file"].isna().all():
            note(f"no files of data set '{record.info.dataset}' here name the images of this run")
        emit(found, fmt, title=record.info.id)
        return
    try:
        rows = explain_run(record, known)
    except PluginError as error:  # the run can be shown without it
        note(str(error))
        rows = []
    details = known.call_hook("zslbench_run_details", store=where.root, record=record)
    more = [{"about": plugin, "name": name, "value": value} for plugin, (name, value) in details]
    emit([*run_details(record, rows), *more], fmt, title=f"run {record.info.id}")


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
        note_empty(where)
        emit([], fmt)
        return
    if fmt in ("csv", "json"):
        emit(comparison_frame(records, metrics=named, split_sets=filters.split_sets), fmt)
        emit_notes(trust_notes(records), fmt)
    else:
        emit(comparison_table(records, shown, metrics=named, split_sets=filters.split_sets), fmt)


@click.command()
@click.argument("run_a", metavar="RUN_A")
@click.argument("run_b", metavar="RUN_B")
@click.option(
    "--classes",
    type=click.IntRange(0, 1_000_000),
    default=5,
    show_default=True,
    help="Show this many of the largest wins and losses by class; csv and json have all classes.",
)
@click.option(
    "--seeds/--no-seeds",
    default=None,
    help="Compare over all seeds in the store, or only the two runs (default: seeds if there are two).",
)
@store_option
@format_option
def compare(run_a: str, run_b: str, classes: int, seeds: bool | None, store: Path | None, fmt: str) -> None:
    """Compare two runs: what differs, metrics with intervals, wins and losses by class.

    RUN_A and RUN_B are ids or the first characters of them. Differences are A minus B. Runs on different
    data sets or splits cannot be compared, and the exit code is then 1.
    """
    from zslbench.report.results import trust_notes
    from zslbench.report.two_runs import compare as compare_runs

    found = compare_runs(run_a, run_b, store=store, seeds=seeds)
    if fmt in ("csv", "json"):
        emit(found.rows(), fmt)
    else:
        note(found.title)
        for place, (title, rows) in enumerate(found.tables(classes)):
            if place:
                echo()
            emit(rows, fmt, title=title)
    emit_notes([*found.notes(), *trust_notes([found.a, found.b])], fmt)
    if found.refusals:
        raise ZslbenchError(f"not comparable: {'; '.join(found.refusals)}")
