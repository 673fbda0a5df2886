"""The command line. The core's commands come in through the same hook as those of plugins.

A plugin's command takes its options, notes and progress displays from here.
"""

from __future__ import annotations

from collections.abc import Iterator

import lazy_loader

from zslbench.plugin.declarations import Command
from zslbench.plugin.hookspecs import hookimpl

# Not ``__dir__``: pluggy finds hooks through it.
__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)

_COMMANDS = {
    "run": ("run:run", "Run a method, or composed components, on a data set."),
    "ablate": ("ablate:ablate", "Run a method's variants and show what each part is worth."),
    "bench": ("bench:bench", "Run what a suite still needs and show its table."),
    "suites": ("bench:suites", "List suites, or the lines of one."),
    "runs": ("results:runs", "List finished and unfinished runs."),
    "show": ("results:show", "Show one run: figures, settings, data, environment."),
    "table": ("results:table", "Compare methods on data sets from the runs in the store."),
    "compare": ("results:compare", "Compare two runs: settings, figures, classes."),
    "published": ("published:published", "List published figures with sources and disputes."),
    "methods": ("listing:methods", "List methods, or show one with its settings."),
    "datasets": ("listing:datasets", "List data sets, and those found under the data root."),
    "trackers": ("listing:trackers", "List trackers, which follow runs with --track."),
    "plugins": ("listing:plugins", "List plugins, and say why a broken one is broken."),
}


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    for name, (target, summary) in _COMMANDS.items():
        yield Command(name=name, target=f"zslbench.cli.{target}", summary=summary)
