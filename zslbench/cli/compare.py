"""``zslbench compare``: two runs side by side."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zslbench.cli.options import format_option, note, store_option


@click.command()
@click.argument("run_a", metavar="RUN_A")
@click.argument("run_b", metavar="RUN_B")
@click.option(
    "--classes",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="How many of the biggest wins and losses by class; csv and json have all classes.",
)
@click.option(
    "--seeds/--no-seeds",
    default=None,
    help="Compare over all seeds in the store, or the two runs alone (default: seeds where there are two).",
)
@store_option
@format_option
def compare(run_a: str, run_b: str, classes: int, seeds: bool | None, store: Path | None, fmt: str) -> None:
    """Set two runs side by side: what differs, figures with intervals, wins and losses by class.

    RUN_A and RUN_B are beginnings of their ids. Differences are A less B. Runs of different data sets or
    splits are not compared, and the exit code is then 1.
    """
    from zslbench.errors import ZslbenchError
    from zslbench.report import compare as comparing
    from zslbench.report.compare_tables import notes
    from zslbench.report.formats import emit
    from zslbench.report.results import ORACLE_NOTE, has_oracle

    found = comparing.compare(run_a, run_b, store=store, seeds=seeds)
    if fmt in ("csv", "json"):
        emit(found.rows(), fmt)
    else:
        note(found.title)
        for place, (title, rows) in enumerate(found.tables(classes)):
            if place:
                click.echo()
            emit(rows, fmt, title=title)
    for text in notes(found):
        if fmt == "markdown":
            sys.stdout.write(f"\n{text}\n")
        else:
            note(text)
    if has_oracle([found.a, found.b]):
        note(ORACLE_NOTE)
    if found.refusals:
        raise ZslbenchError(f"not comparable: {'; '.join(found.refusals)}")
