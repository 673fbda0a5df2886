"""``zslbench run``: compute or reuse runs, and show each seed with mean ± std."""

from __future__ import annotations

from typing import Any

import click

from zslbench.cli.options import fitting_options, format_option, running_options, select_option
from zslbench.errors import SettingsError
from zslbench.report.tables.render import emit


@click.command()
@click.argument("method", required=False)
@click.option("--dataset", required=True, help="Data set; zslbench datasets lists them.")
@click.option("--variant", help="One of the method's variants.")
@click.option("--embedding", help="Embedding of a custom composition.")
@click.option("--generator", help="Generator of a custom composition, if needed.")
@click.option("--classifier", help="Classifier of a custom composition.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Run seeds 0 to N-1.")
@click.option("--seed", type=click.IntRange(min=0), multiple=True, help="Run this seed; repeatable.")
@select_option
@fitting_options
@running_options
@click.option("--force", is_flag=True, help="Run again even if the run is in the store.")
@click.option("--keep-weights", is_flag=True, help="Store the trained networks with the run.")
@format_option
def run(method: str | None, seeds: int, seed: tuple[int, ...], fmt: str, **options: Any) -> None:
    """Run METHOD, or a custom composition of components, on a data set.

    A finished run is reused; an interrupted one resumes from its last checkpoint.
    """
    from zslbench import api
    from zslbench.cli.progress import TerminalDisplay
    from zslbench.report.results import (
        ORACLE_NOTE,
        dataset_label,
        has_oracle,
        method_label,
        runs_frame,
        seeds_table,
    )

    if seed and seeds > 1:
        raise SettingsError("give --seeds N or --seed K, not both")
    display = TerminalDisplay()
    result = api.run(method, seeds=seed or seeds, display=display, **options)
    if result.found:
        display.say(f"found in the store: {result.found} of {len(result.records)}")
    first = result.records[0]
    place = dataset_label(first.info.dataset, result.records)
    title = f"{method_label(first)} on {place}, selection {first.info.selection}, %"
    machine = fmt in ("csv", "json")
    emit(runs_frame(result.records) if machine else seeds_table(result.records, title), fmt)
    if has_oracle(result.records):
        display.say(ORACLE_NOTE)
