"""Evaluates scores or predicted classes that were made elsewhere, and keeps them as a run marked external."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="evaluate",
        target="zslbench_external.cli:evaluate",
        summary="Evaluate scores or predictions made elsewhere: figures, and a row in tables.",
        function="zslbench_external.evaluate:evaluate",
    )
