"""``zslbench ablate``: a method's variants on data sets, against the whole method and what is published."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from zslbench.ablation import DATASETS
from zslbench.cli.options import computing_options, data_root_option, format_option, note, store_option

if TYPE_CHECKING:
    from zslbench.report.ablation import Ablation

SIDE_BY_SIDE = 13
"""Most columns that data sets may have beside each other; wider tables come one below the other."""


@click.command()
@click.argument("method", default="sc-egg")
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    default=DATASETS,
    show_default=True,
    help="Data set; repeatable.",
)
@click.option(
    "--variants", metavar="A,B", help="Only these variants, and the whole method; else all that are declared."
)
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Run seeds 0 to N-1.")
@computing_options
@data_root_option
@store_option
@format_option
def ablate(
    datasets: tuple[str, ...], variants: str | None, assignments: tuple[str, ...], fmt: str, **options: Any
) -> None:
    """Run the variants of METHOD on data sets and show what each of its parts is worth.

    Finished runs are found again and interrupted ones go on, so a command that was stopped can be repeated.
    Differences are those to the whole method, seed by seed; published figures stand beside them where the
    method has them for the data set.
    """
    from zslbench import ablation
    from zslbench.cli.progress import TerminalDisplay
    from zslbench.errors import ZslbenchError
    from zslbench.plugin.presets import parse_assignment
    from zslbench.report.ablation_notes import notes
    from zslbench.report.formats import emit

    found = ablation.ablate(
        dataset=datasets,
        variants=None if variants is None else [name.strip() for name in variants.split(",") if name.strip()],
        settings=dict(parse_assignment(text) for text in assignments),
        display=TerminalDisplay(),
        **options,
    )
    if fmt in ("csv", "json"):
        emit(found.frame(), fmt)
    else:
        _emit_tables(found, fmt)
    for text in notes(found):
        if fmt == "markdown":
            sys.stdout.write(f"\n{text}\n")
        else:
            note(text)
    if found.failures:
        texts = [f"{one.variant} on {one.dataset}, seed {one.seed}: {one.message}" for one in found.failures]
        raise ZslbenchError(
            f"{len(texts)} of {len(texts) + len(found.records)} runs failed: {'; '.join(texts)}"
        )


def _emit_tables(found: Ablation, fmt: str) -> None:
    from zslbench.report.formats import emit

    whole = found.table()
    if fmt == "latex" or len(whole.columns) <= SIDE_BY_SIDE:
        emit(whole, fmt, title=found.title())
        return
    for place, dataset in enumerate(found.datasets):
        if place:
            click.echo()
        emit(found.table([dataset]), fmt, title=found.title([dataset]))
