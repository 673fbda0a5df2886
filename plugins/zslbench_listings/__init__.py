"""``zslbench methods``, ``datasets``, ``trackers`` and ``plugins``: what is installed, and from where."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Command, hookimpl

_SUMMARIES = {
    "methods": "List methods, or show one with its settings.",
    "datasets": "List data sets: registered ones and folders under the data root.",
    "trackers": "List trackers for --track.",
    "plugins": "List plugins and the reasons why any are broken.",
}


@hookimpl
def zslbench_commands() -> Iterator[Command]:
    for name, summary in _SUMMARIES.items():
        yield Command(name=name, target=f"zslbench_listings.cli:{name}", summary=summary)
