"""``zslbench data``: its commands are imported when they are used."""

from __future__ import annotations

import click

from zslbench import Command
from zslbench.cli import LazyGroup

_COMMANDS = {
    "list": ("sets:list_", "List data sets: files on disk and files missing."),
    "info": ("sets:info", "Show one data set: counts, licence, files, next commands."),
    "get": ("sets:get", "Download splits, features, names, images and word vectors."),
    "import": ("files:import_", "Import an xlsa17 folder, region HDF5 or a custom set."),
    "check": ("files:check", "Check a data set and list all problems."),
    "export": ("files:export", "Write a data set in a layout other code can read."),
    "semantics": ("semantics:semantics", "Encode class names or descriptions as class semantics."),
    "extract": ("files:extract", "Extract region features from images."),
}
COMMANDS = tuple(
    Command(name=name, target=f"zslbench_data.cli.{target}", summary=summary)
    for name, (target, summary) in _COMMANDS.items()
)


@click.group(cls=LazyGroup, table=COMMANDS)
def data() -> None:
    """Download, import, check, export and list data sets; extract features."""
