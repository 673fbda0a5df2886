"""``zslbench show`` and ``zslbench compare``: show a finished run, or compare two."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="show",
        target="zslbench_inspect.cli:show",
        summary="Show a run: metrics, settings, data, environment.",
    )
    yield Command(
        name="compare",
        target="zslbench_inspect.cli:compare",
        summary="Compare two runs: settings, metrics, classes.",
    )
