"""``zslbench ablate``: runs a method's variants and shows what each part contributes."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl

DATASETS = ("cub", "sun")
"""The data sets of an ablation unless the user names others."""


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="ablate",
        target="zslbench_ablate.cli:ablate",
        summary="Run a method's variants and show what each part contributes.",
        function="zslbench_ablate.ablate:ablate",
    )
