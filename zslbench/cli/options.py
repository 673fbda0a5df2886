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
