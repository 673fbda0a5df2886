"""``zslbench run`` computes or reuses runs of a method; ``zslbench ablate`` those of all its variants."""

from __future__ import annotations

from typing import Any

import click

from zslbench.cli.completion import complete_datasets, complete_methods
from zslbench.cli.options import (
    SEED,
    SEEDS,
    candidates_option,
    emit_notes,
    fitting_options,
    format_option,
    running_options,
    select_option,
)
from zslbench.errors import SettingsError, ZslbenchError
from zslbench.experiment.options import ABLATION_DATASETS
from zslbench.output import echo
from zslbench.report.tables.render import emit

SIDE_BY_SIDE = 13
"""Up to this many columns, one table has all data sets; beyond it, each data set has a table."""


@click.command()
@click.argument("method", required=False, shell_complete=complete_methods)
@click.option(
    "--dataset",
    required=True,
    shell_complete=complete_datasets,
    help="Data set; zslbench datasets lists them. 'NAME/*', in quotes, means all splits in folder NAME.",
)
@click.option("--variant", help="One of the method's variants.")
@click.option("--embedding", help="Embedding of a custom composition.")
@click.option("--generator", help="Generator of a custom composition, if needed.")
@click.option("--classifier", help="Classifier of a custom composition.")
@click.option("--seeds", type=SEEDS, default=1, show_default=True, help="Run seeds 0 to N-1.")
@click.option("--seed", type=SEED, multiple=True, help="Run this seed; repeatable.")
@select_option
@fitting_options
@candidates_option
@running_options
@click.option("--force", is_flag=True, help="Run again even if the run is in the store.")
@click.option("--keep-weights", is_flag=True, help="Store the trained networks with the run.")
@format_option
def run(method: str | None, seeds: int, seed: tuple[int, ...], fmt: str, **options: Any) -> None:
    """Run METHOD, or a custom composition of components, on a data set.

    A finished run is reused; an interrupted one resumes from its last checkpoint.
    """
    from zslbench import api
    from zslbench.cli.grid import watching
    from zslbench.cli.progress import TerminalDisplay
    from zslbench.data.split_sets import is_split_set
    from zslbench.evaluation.candidates import TEST
    from zslbench.report.results import (
        candidates_label,
        dataset_label,
        method_label,
        runs_frame,
        trust_notes,
    )

    if seed and seeds > 1:
        raise SettingsError("give --seeds N or --seed K, not both")
    alone = options["executor"] == "local" and options["workers"] is None and options["gpus"] is None
    alone = alone and not is_split_set(options["dataset"])
    display = TerminalDisplay()
    if alone:
        result = api.run(method, seeds=seed or seeds, display=display, **options)
    else:
        with watching() as watcher:
            result = api.run(method, seeds=seed or seeds, display=watcher, watcher=watcher, **options)
    if result.found:
        display.say(f"found in the store: {result.found} of {len(result.records)}")
    first = result.records[0]
    place = dataset_label(result.split_set or first.info.dataset, result.records)
    title = f"{method_label(first)} on {place}, selection {first.info.selection}, %"
    if (chosen := candidates_label(first)) != TEST:
        title = title.replace(", %", f", candidates {chosen}, %")
    machine = fmt in ("csv", "json")
    emit(runs_frame(result.records) if machine else result.as_table(title), fmt)
    for text in trust_notes(result.records):
        display.warn(text)


@click.command()
@click.argument("method", default="sc-egg", shell_complete=complete_methods)
@click.option(
    "--dataset",
    "datasets",
    multiple=True,
    default=ABLATION_DATASETS,
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
            tables = [found.as_table([dataset]) for dataset in found.columns]
        for place, table in enumerate(tables):
            if place:
                echo()
            emit(table, fmt)
    emit_notes(found.notes(), fmt)
    if found.failures:
        failed, runs = len(found.failures), len(found.failures) + len(found.records)
        raise ZslbenchError(f"{failed} of {runs} runs failed: {'; '.join(found.failures)}")
