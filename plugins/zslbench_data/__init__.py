"""Data administration: get, import, check, export and extract data sets."""

from __future__ import annotations

from collections.abc import Iterator

import lazy_loader

from zslbench import Command, hookimpl

# Not ``__dir__``: pluggy finds hooks through it.
__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    yield Command(
        name="data",
        target="zslbench_data.cli:data",
        summary="Download, import, check, export and list data sets; extract features.",
    )
