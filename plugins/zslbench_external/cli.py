"""``zslbench evaluate``: evaluates scores or predictions that were made elsewhere."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import (
    SEED,
    complete_datasets,
    data_root_option,
    format_option,
    note,
    options_of,
    remark,
    store_option,
)

if TYPE_CHECKING:
    from zslbench.store import RunRecord

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_PATH)
@click.option(
    "--dataset",
    required=True,
    shell_complete=complete_datasets,
    help="Data set of the scores; zslbench datasets lists them.",
)
@click.option("--name", required=True, help="Name of the method, for tables.")
@click.option(
    "--czsl",
    type=_PATH,
    multiple=True,
    metavar="FILE",
    help="Scores of a separate CZSL classifier; repeat it, once per FILE and in the same order.",
)
@click.option(
    "--task",
    type=click.Choice(["gzsl", "czsl"]),
    help="Evaluate only this task.  [default: every task that has scores]",
)
@click.option(
    "--seed",
    "seeds",
    type=SEED,
    multiple=True,
    help="Seed of FILE; repeat it, once per FILE and in the same order.  [default: 0, 1, ...]",
)
@click.option(
    "--source", help="Where the scores come from, such as a paper, or a repository and its revision."
)
@click.option(
    "--features",
    default="unknown",
    show_default=True,
    help="Name of the features that the method uses, such as res101; not checked.",
)
@click.option(
    "--semantics",
    default="unknown",
    show_default=True,
    help="Name of the class semantics that it uses, such as att; not checked.",
)
@options_of("candidates")
@data_root_option
@store_option
@format_option
def evaluate(files: tuple[Path, ...], fmt: str, **options: Any) -> None:
    """Evaluate scores or predicted classes that were made elsewhere: a .npz or CSV file for each seed.

    Figures are computed as for any run and stored as a run with the selection external. Tables show it but
    never rank it, because it is unknown how its epochs and settings were chosen.
    """
    from zslbench.report import dataset_label, emit, method_label, runs_frame, seeds_table, trust_notes
    from zslbench_external.evaluate import evaluate as evaluate_files

    options = {name: one or None if isinstance(one, tuple) else one for name, one in options.items()}
    result = evaluate_files(files, notify=note, **options)
    first = result.records[0]
    if result.found:
        remark(f"found in the store: {result.found} of {len(result.records)}")
    place = dataset_label(first.info.dataset, result.records)
    title = f"{method_label(first)} on {place}, external, %"
    machine = fmt in ("csv", "json")
    emit(runs_frame(result.records) if machine else seeds_table(result.records, title), fmt)
    for record in result.records:
        if text := _intervals_text(record):
            remark(f"seed {record.info.seed}, 95 % over classes: {text}")
    for text in trust_notes(result.records):
        note(text)


def _intervals_text(record: RunRecord) -> str:
    from zslbench.report import over_classes

    found = over_classes(record.table("classes")).items()
    return ", ".join(
        f"{name} {one.low:.1f} to {one.high:.1f}" for name, one in found if not math.isnan(one.low)
    )
