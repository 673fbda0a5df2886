"""Search settings on validation images; the best become a preset.

Running trials needs the extra ``tune`` (Optuna); without it, ``MissingExtra`` is raised.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="tune",
        target="zslbench_tune.cli:tune",
        summary="Search settings on validation images; the best become a preset.",
        function="zslbench_tune.tune:tune",
    )
