"""The command line. The core registers its commands through the same hook as plugins do.

Plugins import shared options, notes and progress displays from here.
"""

from __future__ import annotations

from collections.abc import Iterator

import lazy_loader

from zslbench.plugin.declarations import Command, Executor
from zslbench.plugin.hookspecs import hookimpl

# Not ``__dir__``: pluggy finds hooks through it.
__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)

_COMMANDS = {
    "run": ("run:run", "Run a method, or a custom composition of components, on a data set."),
    "bench": ("bench:bench", "Run the missing cells of a suite and show its table."),
    "suites": ("bench:suites", "List suites, or the lines of one."),
    "table": ("table:table", "Compare methods on data sets from the runs in the store."),
    "work": ("work:work", ""),  # executors start it; not listed
}


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    for name, (target, summary) in _COMMANDS.items():
        yield Command(name=name, target=f"zslbench.cli.{target}", summary=summary)


@hookimpl
def zslbench_executors() -> Iterator[Executor]:
    pool = "zslbench.experiment.suites.pool"
    local = "This process, or with --workers or --gpus a pool of processes on this machine."
    yield Executor(name="local", target=f"{pool}:LocalPool", summary=local)
    yield Executor(name="gpus", target=f"{pool}:EveryGpu", summary="A process for each GPU of this machine.")
