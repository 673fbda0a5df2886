"""``zslbench runs``: lists and removes runs of the store, and moves them between stores as one file."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="runs",
        target="zslbench_runs.cli:runs",
        summary="List, remove, export and import runs.",
    )
