"""Evaluates scores or predicted classes that were made elsewhere, and stores runs marked external."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="evaluate",
        target="zslbench_external.cli:evaluate",
        summary="Evaluate scores or predictions that other code made.",
        function="zslbench_external.evaluate:evaluate",
    )
