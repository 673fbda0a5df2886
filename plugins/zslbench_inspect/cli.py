"""``zslbench show`` and ``zslbench compare``: a finished run in detail, and two of them side by side."""

from __future__ import annotations

from pathlib import Path

import click

from zslbench.cli import data_root_option, emit_notes, format_option, note, store_option
from zslbench.errors import PluginError, ZslbenchError
from zslbench.output import echo

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
    from zslbench.plugin import registry
    from zslbench.report import emit, explain_run, run_details
    from zslbench.store import Store

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
        from zslbench.report import confusions_frame, most_confused

        matrix = confusions_frame(record)
        emit(matrix if fmt in ("csv", "json") else most_confused(matrix, CONFUSIONS), fmt, decimals=1)
        return
    known = registry()
    if predictions:
        from zslbench.report import predictions_frame

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
    from zslbench import compare as compare_runs
    from zslbench.report import emit, trust_notes

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
