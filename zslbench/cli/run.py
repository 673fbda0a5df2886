"""``zslbench run`` computes or reuses runs of a method."""

from __future__ import annotations

from typing import Any

import click

from zslbench.cli.completion import complete_datasets, complete_methods
from zslbench.cli.options import (
    SEED,
    SEEDS,
    candidates_option,
    dry_run_option,
    fitting_options,
    format_option,
    running_options,
    select_option,
)
from zslbench.errors import SettingsError
from zslbench.report.tables.render import emit


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
@dry_run_option
@format_option
def run(
    method: str | None, seeds: int, seed: tuple[int, ...], dry_run: bool, fmt: str, **options: Any
) -> None:
    """Run METHOD, or a custom composition of components, on a data set.

    A finished run is reused; an interrupted one resumes from its last checkpoint.
    """
    from zslbench import api
    from zslbench.cli.bench import emit_plan
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
    if dry_run:
        emit_plan(api.plan(method, seeds=seed or seeds, display=TerminalDisplay(), **options), fmt)
        return
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
