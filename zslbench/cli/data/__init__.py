"""``zslbench data``: one command a module, imported when it is used."""

from __future__ import annotations

import click

from zslbench.cli.main import Frame

# name: ("module:command", one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("zslbench.cli.data.listing:list_", "List data sets: what is on disk, what is missing."),
    "info": ("zslbench.cli.data.info:info", "Show one data set: counts, licence, files, what to type next."),
    "get": ("zslbench.cli.data.get:get", "Download splits, features, names, pictures and word vectors."),
    "import": (
        "zslbench.cli.data.import_:import_",
        "Bring an xlsa17 folder, region HDF5 or custom set here.",
    ),
    "check": (
        "zslbench.cli.data.check:check",
        "Look a data set over: everything that can be wrong, at once.",
    ),
    "export": ("zslbench.cli.data.export:export", "Write a data set in the layouts that other code reads."),
    "extract": (
        "zslbench.cli.data.extract:extract",
        "Run a backbone over pictures: region features.",
    ),
}


@click.group(cls=Frame, table=COMMANDS)
def data() -> None:
    """Get data sets, and see what is there and what is missing."""
