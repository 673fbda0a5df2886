"""``zslbench ablate``: what each part of a method contributes."""

from __future__ import annotations

from typing import Any

import click

from zslbench.cli import (
    SEEDS,
    candidates_option,
    complete_datasets,
    complete_methods,
    dry_run_option,
    emit_notes,
    fitting_options,
    format_option,
    running_options,
    select_option,
)
from zslbench.errors import ZslbenchError
from zslbench.output import echo
from zslbench_ablate import DATASETS

SIDE_BY_SIDE = 13
"""Up to this many columns, one table has all data sets; beyond it, each data set has a table."""


@click.command()
@click.argument("method", default="sc-egg", shell_complete=complete_methods)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    default=DATASETS,
    shell_complete=complete_datasets,
    show_default=True,
    help="Data set; repeatable. 'NAME/*', in quotes, means all splits in folder NAME.",
)
@click.option("--variants", metavar="A,B", help="Only these variants and the full method (default: all).")
@click.option("--seeds", type=SEEDS, default=1, show_default=True, help="Run seeds 0 to N-1.")
@select_option
@fitting_options
@candidates_option
@running_options
@dry_run_option
@format_option
def ablate(datasets: tuple[str, ...], variants: str | None, dry_run: bool, fmt: str, **options: Any) -> None:
    """Run the variants of METHOD on data sets and show what each of its parts contributes.

    Finished runs are reused and interrupted ones resume, so a stopped command can simply be repeated.
    Differences from the full method are computed per seed. Published results are shown where the method
    declares them for the data set.
    """
    from zslbench.cli import emit_plan, watching
    from zslbench.report import emit
    from zslbench_ablate.ablate import ablate as run_ablation, plan

    chosen = None if variants is None else [name.strip() for name in variants.split(",") if name.strip()]
    with watching() as watcher:
        if dry_run:
            emit_plan(plan(dataset=datasets, variants=chosen, display=watcher, **options), fmt)
            return
        found = run_ablation(dataset=datasets, variants=chosen, display=watcher, watcher=watcher, **options)
    if fmt in ("csv", "json"):
        emit(found.frame(), fmt)
    else:
        tables = [found.as_table()]
        if fmt != "latex" and len(tables[0].columns) > SIDE_BY_SIDE:
            tables = [found.as_table([dataset]) for dataset in found.columns]
        for place, table in enumerate(tables):
            if place:
                echo()
            emit(table, fmt)
    emit_notes(found.notes(), fmt)
    if found.failures:
        failed, runs = len(found.failures), len(found.failures) + len(found.records)
        raise ZslbenchError(f"{failed} of {runs} runs failed: {'; '.join(found.failures)}")
