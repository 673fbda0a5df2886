"""``zslbench report``, one HTML page of a suite or any runs, and ``zslbench plot``, figures of a run."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="report",
        target="zslbench_report.cli:report",
        summary="Write a suite, or any runs, as one HTML file.",
    )
    yield Command(
        name="plot",
        target="zslbench_report.cli:plot",
        summary="Figures of a finished run: attention maps, t-SNE.",
    )
