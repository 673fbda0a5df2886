"""Who is told of a run while it is computed: plugins of its epochs, its record of warnings."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping

from zslbench.plugin.lookup import Registry
from zslbench.store.record import RunInfo
from zslbench.training.context import Observer


class Hooked:
    """Passes what training tells on to the display and to plugins."""

    def __init__(self, shown: Observer, registry: Registry, info: RunInfo) -> None:
        self._shown, self._registry, self._info = shown, registry, info

    def stage_started(self, stage: str, epochs: int, done: int) -> None:
        self._shown.stage_started(stage, epochs, done)

    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        self._shown.epoch_ended(stage, epoch, epochs, metrics)
        self._registry.call_lifecycle(
            "zslbench_epoch_ended", run=self._info, stage=stage, epoch=epoch, metrics=dict(metrics)
        )

    def stage_ended(self, stage: str) -> None:
        self._shown.stage_ended(stage)


@contextlib.contextmanager
def notes_of_run(thread: int | None = None) -> Iterator[list[str]]:
    """Warnings of zslbench and its plugins while a run is computed; they become notes of its record.

    Args:
        thread: only those of this thread; None: of all.
    """
    notes: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            if text not in notes and thread in (None, record.thread):
                notes.append(text)

    handler = Collect(logging.WARNING)
    logger = logging.getLogger("zslbench")
    logger.addHandler(handler)
    try:
        yield notes
    finally:
        logger.removeHandler(handler)
