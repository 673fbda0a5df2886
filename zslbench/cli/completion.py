"""Shell completion of names: click calls these functions when the user presses Tab (docs/commands.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

import click

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _completer(names: Callable[[click.Context], Iterable[str]]) -> Complete:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        with contextlib.suppress(Exception):  # the shell waits, and a message would garble its line
            return sorted(name for name in names(ctx) if name.startswith(incomplete))
        return []

    return complete


@_completer
def complete_methods(_: click.Context) -> Iterable[str]:
    """Registered methods."""
    from zslbench.plugin.discovery import registry

    return [one.name for one in registry().methods()]


@_completer
def complete_datasets(ctx: click.Context) -> Iterable[str]:
    """Registered data sets, and folders under the data root."""
    from zslbench.data.locations import data_root, dataset_folders
    from zslbench.plugin.discovery import registry

    folders = dataset_folders(data_root(ctx.params.get("data_root")))
    return {one.name for one in registry().components("dataset")} | folders.keys()


@_completer
def complete_suites(_: click.Context) -> Iterable[str]:
    """Packaged suites."""
    from zslbench.experiment.suites.definition import suite_names

    return suite_names()
