"""``zslbench published``: lists published results, with which runs are compared."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="published",
        target="zslbench_published.cli:published",
        summary="List published results with sources and disputed values.",
    )
