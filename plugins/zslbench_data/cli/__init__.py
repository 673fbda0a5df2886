"""``zslbench data``: one command a module, imported when it is used."""

from __future__ import annotations

import click

from zslbench import Command
from zslbench.cli import Frame

COMMANDS = (
    Command(
        name="list",
        target="zslbench_data.cli.listing:list_",
        summary="List data sets: what is on disk, what is missing.",
    ),
    Command(
        name="info",
        target="zslbench_data.cli.info:info",
        summary="Show one data set: counts, licence, files, what to type next.",
    ),
    Command(
        name="get",
        target="zslbench_data.cli.get:get",
        summary="Download splits, features, names, pictures and word vectors.",
    ),
    Command(
        name="import",
        target="zslbench_data.cli.import_:import_",
        summary="Bring an xlsa17 folder, region HDF5 or custom set here.",
    ),
    Command(
        name="check",
        target="zslbench_data.cli.check:check",
        summary="Look a data set over: everything that can be wrong, at once.",
    ),
    Command(
        name="export",
        target="zslbench_data.cli.export:export",
        summary="Write a data set in the layouts that other code reads.",
    ),
    Command(
        name="extract",
        target="zslbench_data.cli.extract:extract",
        summary="Run a backbone over pictures: region features.",
    ),
)


@click.group(cls=Frame, table=COMMANDS)
def data() -> None:
    """Get data sets, and see what is there and what is missing."""
