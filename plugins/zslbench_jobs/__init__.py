"""``zslbench jobs``: shows or cancels what executors run."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(name="jobs", target="zslbench_jobs.cli:jobs", summary="Show or cancel what executors run.")
