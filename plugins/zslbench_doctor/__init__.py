"""What zslbench finds on this machine, and what is wrong with it: ``zslbench doctor``."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="doctor",
        target="zslbench_doctor.cli:doctor",
        summary="Examine the installation, GPU, data, store and plugins, for a bug report.",
    )
