"""``zslbench data``: one command a module, imported when it is used."""

from __future__ import annotations

import click

from zslbench.cli.main import Frame

# name: ("module:command", one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("zslbench.cli.data.listing:list_", "List data sets: what is on disk, what is missing."),
    "info": ("zslbench.cli.data.info:info", "Show one data set: counts, licence, files, what to type next."),
    "get": ("zslbench.cli.data.get:get", "Download splits, features, names, pictures and word vectors."),
    "export": ("zslbench.cli.data.export:export", "Write a data set in the layouts that other code reads."),
}


@click.group(cls=Frame, table=COMMANDS)
def data() -> None:
    """Get data sets, and see what is there and what is missing."""
