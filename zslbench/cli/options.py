"""Options that several commands share; those of runs come from the fields of ``experiment.options``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from zslbench.cli.completion import complete_datasets, complete_methods
from zslbench.data.locations import dataset_key
from zslbench.errors import ZslbenchError
from zslbench.evaluation.selection import EXTERNAL
from zslbench.experiment.options import (
    COUNT as COUNT,
    SEED as SEED,
    SEEDS as SEEDS,
    AllOptions,
    FitOptions,
    MachineOptions,
    RunOptions,
)
from zslbench.output import echo, quiet, visible
from zslbench.report.tables.render import FORMATS, csv_safe

if TYPE_CHECKING:
    from zslbench.report.filters import Filters
    from zslbench.store.store import Store

F = TypeVar("F", bound=Callable[..., Any])


def format_option(command: F) -> F:
    """``--format``, passed to the command as ``fmt``.

    With ``csv`` and ``json`` a command writes nothing else to standard output; notes go to standard error.
    ``--csv-safe`` applies to everything the command writes.
    """
    safe = click.option(
        "--csv-safe",
        is_flag=True,
        expose_value=False,
        callback=lambda ctx, _, given: ctx.with_resource(csv_safe()) if given else None,
        help="With --format csv: put a ' before text that a spreadsheet would run as a formula.",
    )
    command = safe(command)
    return click.option(
        "--format",
        "fmt",
        type=click.Choice(FORMATS),
        default="terminal",
        show_default=True,
        help="Format of tables on standard output.",
    )(command)


SELECTIONS = click.Choice(["val", "last", "oracle", "oracle-scripts"])
STORED_SELECTIONS = click.Choice([*SELECTIONS.choices, EXTERNAL])
"""The selections that runs in the store may have."""

dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would run and the estimated time.")
"""``--dry-run``."""

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
    known = {one.name: one for one in dataclasses.fields(AllOptions)}
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
    if field.name == "executor_options":
        return _executors_options
    info = dict(field.metadata)
    flag = info.pop("flag") or f"--{field.name.replace('_', '-')}"
    if not info.get("multiple"):
        info |= {"default": field.default, "show_default": field.default is not None}
    return click.option(flag, field.name, **info)


def _executors_options(command: F) -> F:
    """An option for each executor that has options of its own, passed together as ``executor_options``."""
    from zslbench.plugin.discovery import executors

    helps = {one.name: visible(one.declaration.options) for one in executors() if one.declaration.options}

    @wraps(command)
    def gathered(*context: click.Context, executor: str, **options: Any) -> Any:
        given = {name: texts for name in helps if (texts := options.pop(_parameter(name)))}
        for name in given.keys() - {executor}:
            raise click.UsageError(f"--{name} is for --executor {name}")
        own = dict(_assignment(executor, text) for text in given.get(executor, ()))
        return command(*context, executor=executor, executor_options=own or None, **options)

    for name, text in helps.items():
        option = click.option(f"--{name}", _parameter(name), multiple=True, metavar="KEY=VALUE", help=text)
        gathered = option(gathered)
    return cast(F, gathered)


def _parameter(executor: str) -> str:
    """The name of the parameter for the options of an executor."""
    return f"executor_{re.sub(r'[^a-z0-9]', '_', executor)}"


def _assignment(name: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise click.UsageError(f"--{name} {text}: write KEY=VALUE")
    return key.strip(), value.strip()


data_root_option = options_of("data_root")
"""``--data-root``, passed to the command as ``data_root``: a Path, or None."""

store_option = options_of("store")
"""``--store``, passed to the command as ``store``: a Path, or None."""

metrics_option = click.option(
    "--metrics",
    metavar="NAME,...",
    help="Metrics in the table, such as acc,acc_micro,acc_top5,micro,ausuc.  [default: acc,u,s,h]",
)
"""``--metrics``, passed to the command as ``metrics``: a text for ``metrics_named``, or None."""

fitting_options = options_of(FitOptions)
"""For commands that fit methods."""

machine_options = options_of(MachineOptions)
"""Where and in which arithmetic something is computed."""

candidates_option = options_of("candidates")
"""``--candidates``."""

running_options = options_of(RunOptions)
"""For commands that compute runs."""


def filter_options(command: F) -> F:
    """``--filter``, ``--method``, ``--dataset`` and ``--select``, passed together as ``filters``."""

    @wraps(command)
    def filtered(
        *context: click.Context,
        texts: tuple[str, ...],
        method: str | None,
        dataset: str | None,
        selection: str | None,
        **options: Any,
    ) -> Any:
        from zslbench.report.filters import Condition, Filters

        named = {"method": method, "dataset": dataset and dataset_key(dataset), "selection": selection}
        equal = [Condition(key, "=", one) for key, one in named.items() if one is not None]
        return command(*context, filters=Filters([*map(Condition.parse, texts), *equal]), **options)

    for option in (  # the last one is listed first
        click.option("--select", "selection", type=STORED_SELECTIONS, help="Only this selection."),
        click.option(
            "--dataset",
            shell_complete=complete_datasets,
            help="Only this data set; 'NAME/*', in quotes, means all splits in folder NAME.",
        ),
        click.option("--method", shell_complete=complete_methods, help="Only this method."),
        click.option(
            "--filter",
            "texts",
            multiple=True,
            metavar="CONDITION",
            help="Only runs that match, e.g. variant=none, 'H>50' or 'date>=2026-11-01'; repeatable. "
            "CONDITION is KEY=VALUE, or has !=, <, <=, >, >= or ~ (contains) in place of =.",
        ),
    ):
        filtered = option(filtered)
    return cast(F, filtered)


def note(text: str) -> None:
    """Write a note to standard error."""
    echo(f"note: {text}", err=True)


def remark(text: str) -> None:
    """Write a note, unless ``--quiet`` is given."""
    if not quiet():
        note(text)


def confirm(question: str, otherwise: str) -> None:
    """Ask on standard error; ZslbenchError with the text ``otherwise`` unless the answer is yes."""
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise ZslbenchError(otherwise)


def emit_notes(texts: Iterable[str], fmt: str) -> None:
    """Write what a reader of tables must know: below them in markdown, otherwise to standard error."""
    from zslbench.report.tables.markup import markdown_escaped

    for text in texts:
        if fmt == "markdown":
            echo("", markdown_escaped(text))
        else:
            note(text)


def note_empty(store: Store, filters: Filters) -> None:
    """Say that no run matches, and how to list or compute runs."""
    records = store.records()
    for text in filters.whole_folders(records):
        note(text)
    if records or store.unfinished():
        note("the store has no matching run; zslbench runs lists all that it has")
    else:
        note("the store has no runs; to compute one: zslbench run METHOD --dataset NAME")
