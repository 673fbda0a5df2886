"""``zslbench tune``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from zslbench.cli import (
    COUNT,
    SEEDS,
    fitting_options,
    format_option,
    machine_options,
    note,
    options_of,
    remark,
)

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("method", required=False)
@click.option("--dataset", required=True, help="Data set; zslbench datasets lists them.")
@click.option("--variant", help="One of the method's variants.")
@click.option("--embedding", help="Embedding of a custom composition.")
@click.option("--generator", help="Generator of a custom composition, if needed.")
@click.option("--classifier", help="Classifier of a custom composition.")
@click.option(
    "--trials",
    type=COUNT,
    default=20,
    show_default=True,
    help="Total finished trials in the study, including earlier ones.",
)
@click.option(
    "--search",
    "searched",
    multiple=True,
    metavar="KIND.NAME=SPACE",
    help="Search a setting: LOW:HIGH, LOW:HIGH:log, LOW:HIGH:STEP or A,B,C; repeatable. Default: what the "
    "method declares, or methods with a composition's components.",
)
@click.option(
    "--seeds",
    type=SEEDS,
    default=1,
    show_default=True,
    help="Seeds over which the value of a trial is averaged.",
)
@click.option(
    "--validation-splits",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Validation splits over which the value of a trial is averaged: the data set's own, then others "
    "drawn from trainval with as many validation classes.",
)
@click.option(
    "--journal",
    type=_FILE,
    help="The study's file, which processes on several machines can share. Default: one in the "
    "store specific to this search.",
)
@click.option(
    "-o", "--output", type=_FILE, help="The preset's file, ending in .toml. Default: next to the study."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    help="Worker processes (default: 1; with --gpus, one per GPU).",
)
@click.option("--sampler", type=click.Choice(["tpe", "random"]), default="tpe", show_default=True)
@click.option("--sampler-seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option(
    "--pruner",
    type=click.Choice(["none", "median"]),
    default="none",
    show_default=True,
    help="median: end trials early that are below the median of the others at the same epoch.",
)
@options_of("gpus", "executor", "executor_options")
@fitting_options
@machine_options
@format_option
def tune(searched: tuple[str, ...], fmt: str, **options: Any) -> None:
    """Search settings of METHOD, or of a custom composition, on validation images; the best become a preset.

    Test images are not used. The same command resumes an interrupted search. Run in several terminals, or
    with --workers, it shares the study.
    """
    from zslbench.cli import TerminalDisplay
    from zslbench.errors import SettingsError
    from zslbench.report import Cell, emit
    from zslbench_tune.space import parse_search
    from zslbench_tune.tune import tune as run_search

    search: dict[str, Any] = {}
    for key, spec in map(parse_search, searched):
        if key in search:
            raise SettingsError(f"--search {key} is given twice")
        search[key] = spec
    found = run_search(search=search, display=TerminalDisplay(), **options)
    frame = found.frame()
    if fmt in ("csv", "json"):
        emit(frame, fmt)
    else:
        frame = frame.drop(columns=[name for name in ("epochs", "reason") if frame[name].isna().all()])
        value, where = found.value_column, "the validation split"
        if found.validation_splits > 1:
            where = f"{found.validation_splits} validation splits, mean ± std over splits"
            spreads = frame.pop(f"{value}_std")
            pairs = zip(frame[value], spreads, strict=True)
            cells: list[Any] = [Cell(mean, spread=std, digits=2) for mean, std in pairs]
            frame[value] = cells
        for key in found.space:  # learning rates need more digits than accuracies
            frame[key] = [f"{value:.4g}" if isinstance(value, float) else value for value in frame[key]]
        title = f"{found.study}: best of {len(found.trials)} trials, % on {where}"
        emit(frame.head(10), fmt, title=title)
    note(f"preset saved: {found.preset}")
    names = [
        "embedding",
        "generator",
        "classifier",
        "dataset",
        "variant",
        "reading",
        "features",
        "semantics",
        "regions",
        "images",
    ]
    if options["precision"] != "float32":
        names.append("precision")
    chosen = [word for name in names if options[name] for word in (f"--{name}", str(options[name]))]
    command = ["zslbench", "run", *filter(None, [options["method"]]), *chosen, "--preset", str(found.preset)]
    remark(f"to run it: {shlex.join(command)}")
