"""``zslbench doctor``: checks the installation on this machine and says how to fix what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="doctor",
        target="zslbench_doctor.cli:doctor",
        summary="Check the installation, GPUs, data, store and plugins.",
    )
