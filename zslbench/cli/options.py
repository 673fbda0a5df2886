"""Options that several commands share; those of runs come from the fields of ``experiment.options``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from zslbench.experiment.options import FitOptions, MachineOptions, OptionInfo, RunOptions
from zslbench.report.tables.render import FORMATS

F = TypeVar("F", bound=Callable[..., Any])


def format_option(command: F) -> F:
    """``--format``, passed to the command as ``fmt``.

    With ``csv`` and ``json`` a command writes nothing else to standard output; notes go to standard error.
    """
    return click.option(
        "--format",
        "fmt",
        type=click.Choice(FORMATS),
        default="terminal",
        show_default=True,
        help="Format of tables on standard output.",
    )(command)


SELECTIONS = click.Choice(["val", "last", "oracle"])

select_option = click.option(
    "--select",
    type=SELECTIONS,
    default="val",
    show_default=True,
    help="Choose the model on validation classes, not at all, or on the test images (results are marked).",
)


def options_of(*fields: type | str) -> Callable[[F], F]:
    """Options made of dataclasses in ``experiment.options``, passed to the command under their fields' names.

    Args:
        fields: whole dataclasses, or names of single fields.
    """
    known = {one.name: one for cls in (FitOptions, RunOptions) for one in dataclasses.fields(cls)}
    names = [
        name
        for one in fields
        for name in ([one] if isinstance(one, str) else [each.name for each in dataclasses.fields(one)])
    ]

    def decorate(command: F) -> F:
        for name in reversed(names):
            command = _click_option(known[name])(command)
        return command

    return decorate


def _click_option(field: dataclasses.Field[Any]) -> Callable[[F], F]:
    info: OptionInfo = field.metadata["option"]
    more: dict[str, Any] = {}
    if info.choices:
        more["type"] = click.Choice(list(info.choices))
    elif info.kind == "count":
        more["type"] = click.IntRange(min=1)
    elif info.kind == "folder":
        more["type"] = click.Path(file_okay=False, path_type=Path)
    if info.kind == "settings":
        more |= {"multiple": True, "callback": _assignments}
    elif info.repeatable:
        # None where the option was not given, so that an environment variable can apply.
        more |= {"multiple": True, "callback": lambda context, parameter, value: value or None}
    else:
        more |= {"default": field.default, "show_default": field.default is not None}
    flag = info.flag or f"--{field.name.replace('_', '-')}"
    return click.option(flag, field.name, help=info.help or None, metavar=info.metavar, **more)


def _assignments(
    context: click.Context, parameter: click.Parameter, value: tuple[str, ...]
) -> dict[str, Any]:
    from zslbench.plugin.presets import parse_assignment

    return dict(parse_assignment(text) for text in value)


data_root_option = options_of("data_root")
"""``--data-root``, passed to the command as ``data_root``: a Path, or None."""

store_option = options_of("store")
"""``--store``, passed to the command as ``store``: a Path, or None."""

fitting_options = options_of(FitOptions)
"""For commands that fit methods."""

machine_options = options_of(MachineOptions)
"""Where and in which arithmetic something is computed."""

running_options = options_of(RunOptions)
"""For commands that compute runs."""


def note(text: str) -> None:
    """Write a note to standard error."""
    click.echo(f"note: {text}", err=True)


def emit_notes(texts: Iterable[str], fmt: str) -> None:
    """Write what a reader of tables must know: below them in markdown, otherwise to standard error."""
    for text in texts:
        if fmt == "markdown":
            click.echo(f"\n{text}")
        else:
            note(text)
