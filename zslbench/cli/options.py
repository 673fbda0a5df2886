"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from zslbench.report.formats import FORMATS

F = TypeVar("F", bound=Callable[..., Any])


def format_option(command: F) -> F:
    """``--format``, given to the command as ``fmt``.

    With ``csv`` and ``json`` a command writes nothing else to standard output; notes go to standard error.
    """
    return click.option(
        "--format",
        "fmt",
        type=click.Choice(FORMATS),
        default="terminal",
        show_default=True,
        help="How tables are written to standard output.",
    )(command)


def data_root_option(command: F) -> F:
    """``--data-root``, given to the command as ``data_root``: a Path, or None where it was not given."""
    return click.option(
        "--data-root",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder that holds one folder per data set; otherwise ZSLBENCH_DATA.",
    )(command)


def note(text: str) -> None:
    """Tell the user something beside the result, on standard error."""
    click.echo(f"note: {text}", err=True)


def store_option(command: F) -> F:
    """``--store``, given to the command as ``store``: a Path, or None where it was not given."""
    return click.option(
        "--store",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of the run store; otherwise ZSLBENCH_STORE.",
    )(command)


_SET = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KIND.NAME=VALUE",
    help="Change a setting, as generator.lr=1e-4; repeatable.",
)
_PRESET = click.option(
    "--preset",
    multiple=True,
    help="Preset name, METHOD:NAME, or a TOML file; repeatable, later ones win; else the data set's own.",
)
_MACHINE = (
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
    click.option("--threads", type=click.IntRange(min=1), help="CPU threads (default: torch's)."),
)
_FITTING = (
    click.option("--reading", help="How the method's paper is read; zslbench methods METHOD lists readings."),
    _SET,
    _PRESET,
    click.option("--epochs", type=click.IntRange(min=1), help="Length of the schedule."),
    click.option(
        "--every",
        type=click.IntRange(min=1),
        help="Epochs between evaluations (default: a twentieth of the schedule).",
    ),
    click.option(
        "--features", help="Features file of the data set (default: res101); mean: means over regions."
    ),
    click.option(
        "--regions", help="Region features: a name, or a path (default: those beside the data set)."
    ),
    click.option("--semantics", help="Class semantics: att, original_att or sentence (default: att)."),
    *_MACHINE,
)
_TRACK = click.option(
    "--track",
    multiple=True,
    metavar="NAME[=WHERE]",
    callback=lambda context, parameter, value: value or None,  # None: not asked, so ZSLBENCH_TRACK holds
    help="Follow runs with this tracker, as tensorboard=logs (zslbench trackers lists them); repeatable; "
    "otherwise ZSLBENCH_TRACK; none: no tracker.",
)
_REPLICAS = click.option(
    "--replicas",
    type=click.IntRange(min=1),
    help="Seeds trained together at most (default: all on a GPU, 1 on a CPU).",
)
_ARITHMETIC = (
    click.option(
        "--precision",
        type=click.Choice(["float32", "tf32", "bf16"]),
        default="float32",
        show_default=True,
        help="Of matrix products: tf32 on a GPU; bf16 in steps of the selected schedule.",
    ),
    click.option(
        "--graphs",
        type=click.Choice(["auto", "on", "off"]),
        default="auto",
        show_default=True,
        help="Capture training in CUDA graphs: where it works, or fail, or never.",
    ),
)
_COMPUTING = (
    click.option(
        "--select",
        type=click.Choice(["val", "last", "oracle"]),
        default="val",
        show_default=True,
        help="How the model is chosen: on validation, not at all, or on the test images (marked).",
    ),
    _REPLICAS,
    *_ARITHMETIC,
    _TRACK,
)


def fitting_options(command: F) -> F:
    """The options of commands that fit methods, given to the command by their names (``--set`` as
    ``assignments``)."""
    for option in reversed(_FITTING):
        command = option(command)
    return command


def searching_options(command: F) -> F:
    """Those of :func:`fitting_options` and ``precision`` and ``graphs``: what a search takes."""
    command = fitting_options(command)
    for option in reversed(_ARITHMETIC):
        command = option(command)
    return command


def computing_options(command: F) -> F:
    """Those of :func:`fitting_options` and what commands that compute runs take besides: ``select``,
    ``replicas``, ``precision``, ``graphs`` and ``track`` (a tuple, or None where it was not given)."""
    command = fitting_options(command)
    for option in reversed(_COMPUTING):
        command = option(command)
    return command


def suite_options(command: F) -> F:
    """What a command that computes a whole suite takes of these: ``assignments``, ``preset``, ``device``,
    ``threads``, ``replicas``, ``precision``, ``graphs`` and ``track``."""
    for option in reversed((_SET, _PRESET, *_MACHINE, _REPLICAS, *_ARITHMETIC, _TRACK)):
        command = option(command)
    return command
