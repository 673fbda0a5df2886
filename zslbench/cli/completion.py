"""Shell completion of names: click calls these functions when the user presses Tab (docs/commands.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

import click

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def _completer(names: Callable[[click.Context], Iterable[str]]) -> Complete:
    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        with contextlib.suppress(
            Exception
        ):  # the shell is waiting, and an error message would garble its line
            return sorted(name for name in names(ctx) if name.startswith(incomplete))
        return []

    return complete


def _methods(_: click.Context) -> Iterable[str]:
    from zslbench.plugin.discovery import registry

    return [one.name for one in registry().methods()]


def _datasets(ctx: click.Context) -> Iterable[str]:
    from zslbench.data.locations import data_root, dataset_folders
    from zslbench.plugin.discovery import registry

    folders = dataset_folders(data_root(ctx.params.get("data_root")))
    return {one.name for one in registry().components("dataset")} | folders.keys()


def _suites(_: click.Context) -> Iterable[str]:
    from zslbench.experiment.suites.definition import suite_names

    return suite_names()


complete_methods = _completer(_methods)
complete_datasets = _completer(_datasets)
"""Registered data sets, and folders under the data root."""
complete_suites = _completer(_suites)
"""Packaged suites."""
