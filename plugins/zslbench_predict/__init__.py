"""Predictions for any pictures or features, over a run's classes or over new ones."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="predict",
        target="zslbench_predict.cli:predict",
        summary="Classify pictures or features with a finished run, over its classes or new ones.",
        function="zslbench_predict.predict:predict",
    )
