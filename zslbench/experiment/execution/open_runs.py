"""The runs of a group, each with the workspace that it holds."""

from __future__ import annotations

import contextlib
from typing import Any

from zslbench.experiment.execution.local import Display, Job, OpenRun, opened
from zslbench.plugin.lookup import Registry
from zslbench.store.store import Store


class OpenRuns:
    """Runs that were opened, each of which is closed by itself; in the end, those that are left."""

    def __init__(self, store: Store, registry: Registry, display: Display, *, force: bool) -> None:
        self._store, self._registry, self._display, self._force = store, registry, display, force
        self.open_ones: dict[int, OpenRun] = {}
        self._contexts: dict[int, contextlib.AbstractContextManager[OpenRun]] = {}

    def open(self, slot: int, job: Job, resumed: bool = False) -> OpenRun:
        if slot not in self.open_ones:
            context = opened(
                job, self._store, self._registry, self._display, force=self._force, resumed=resumed
            )
            self.open_ones[slot] = context.__enter__()
            self._contexts[slot] = context
        return self.open_ones[slot]

    def close(self, slot: int, error: BaseException | None) -> None:
        context = self._contexts.pop(slot)
        if error is None:
            context.__exit__(None, None, None)
        else:
            context.__exit__(type(error), error, error.__traceback__)

    def __enter__(self) -> OpenRuns:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        for slot in sorted(self._contexts):
            self.close(slot, error)
