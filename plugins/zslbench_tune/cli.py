"""``zslbench tune``: search settings on the validation split and save the best as a preset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zslbench.cli import fitting_options, format_option, machine_options, note

SHOWN = 10
"""Trials in the table on a terminal."""


@click.command()
@click.argument("method")
@click.option("--dataset", required=True, help="Data set; zslbench datasets lists them.")
@click.option("--variant", help="One of the method's variants.")
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Finished trials of the whole study, earlier ones included.",
)
@click.option(
    "--search",
    "searched",
    multiple=True,
    metavar="KIND.NAME=SPACE",
    help="Search a setting: LOW:HIGH, LOW:HIGH:log, LOW:HIGH:STEP or A,B,C; repeatable. Default: what the "
    "method declares.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Seeds over which a trial's value is averaged.",
)
@click.option(
    "--journal",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The study's file (SQLite), which several processes may share. Default: one in the store for "
    "exactly this search.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The preset's file, ending with .toml. Default: next to the study.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that compute trials.",
)
@click.option("--sampler", type=click.Choice(["tpe", "random"]), default="tpe", show_default=True)
@click.option("--sampler-seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--pruner",
    type=click.Choice(["none", "median"]),
    default="none",
    show_default=True,
    help="median: end trials early if they are below the median of the others at the same epoch.",
)
@fitting_options
@machine_options
@format_option
def tune(searched: tuple[str, ...], fmt: str, **options: Any) -> None:
    """Search settings of METHOD on a data set's validation split; the best become a preset.

    No test image is used. The same command resumes a search that was stopped. Run in several terminals, or
    with --workers, it shares the study.
    """
    from zslbench.cli import TerminalDisplay
    from zslbench.errors import SettingsError
    from zslbench.report import emit
    from zslbench_tune.space import parse_search
    from zslbench_tune.tune import tune as search

    parsed = [parse_search(text) for text in searched]
    if twice := [key for number, (key, _) in enumerate(parsed) if key in dict(parsed[:number])]:
        raise SettingsError(f"--search {twice[0]} is given twice")
    found = search(
        search=dict(parsed),
        display=TerminalDisplay(),
        **options,
    )
    frame = found.frame()
    if fmt in ("csv", "json"):
        emit(frame, fmt)
    else:
        frame = frame.drop(columns=[one for one in ("epochs", "reason") if frame[one].isna().all()])
        for key in found.space:  # learning rates need more digits than accuracies
            frame[key] = [f"{one:.4g}" if isinstance(one, float) else one for one in frame[key]]
        title = f"{found.study}: best of {len(found.trials)} trials, % on the validation split"
        emit(frame.head(SHOWN), fmt, title=title)
    note(f"preset saved: {found.preset}")
    same = ("variant", "reading", "features", "semantics", "regions")
    more = "".join(f" --{name} {options[name]}" for name in same if options[name])
    if options["precision"] != "float32":
        more += f" --precision {options['precision']}"
    place = f"--dataset {options['dataset']}{more} --preset {found.preset}"
    note(f"its runs: zslbench run {options['method']} {place}")
