"""``zslbench ablate``: a method's variants, compared with the whole method and with published results."""

from __future__ import annotations

from typing import Any

import click

from zslbench.cli.options import emit_notes, fitting_options, format_option, running_options, select_option
from zslbench.errors import ZslbenchError
from zslbench.experiment.options import ABLATION_DATASETS
from zslbench.report.tables.render import emit

SIDE_BY_SIDE = 13
"""Up to this many columns, one table has all data sets; beyond it, each data set has a table."""


@click.command()
@click.argument("method", default="sc-egg")
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    default=ABLATION_DATASETS,
    show_default=True,
    help="Data set; repeatable.",
)
@click.option("--variants", metavar="A,B", help="Only these variants and the full method (default: all).")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Run seeds 0 to N-1.")
@select_option
@fitting_options
@running_options
@format_option
def ablate(datasets: tuple[str, ...], variants: str | None, fmt: str, **options: Any) -> None:
    """Run the variants of METHOD on data sets and show what each of its parts contributes.

    Finished runs are reused and interrupted ones resume, so a stopped command can simply be repeated.
    Differences from the full method are computed per seed. Published results are shown where the method
    declares them for the data set.
    """
    from zslbench import api
    from zslbench.cli.grid import watching

    chosen = None if variants is None else [name.strip() for name in variants.split(",") if name.strip()]
    with watching() as watcher:
        found = api.ablate(dataset=datasets, variants=chosen, display=watcher, watcher=watcher, **options)
    if fmt in ("csv", "json"):
        emit(found.frame(), fmt)
    else:
        tables = [found.as_table()]
        if fmt != "latex" and len(tables[0].columns) > SIDE_BY_SIDE:
            tables = [found.as_table([dataset]) for dataset in found.datasets]
        for place, table in enumerate(tables):
            if place:
                click.echo()
            emit(table, fmt)
    emit_notes(found.notes(), fmt)
    if found.failures:
        texts = [f"{one.variant} on {one.dataset}, seed {one.seed}: {one.message}" for one in found.failures]
        raise ZslbenchError(
            f"{len(texts)} of {len(texts) + len(found.records)} runs failed: {'; '.join(texts)}"
        )
