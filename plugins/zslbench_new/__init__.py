"""``zslbench new``: plugin packages to start from."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(name="new", target="zslbench_new.cli:new", summary="Generate a plugin package.")
