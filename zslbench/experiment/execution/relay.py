"""One display for seeds that train together: of those in a stage, the first to begin it is shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from zslbench.training.context import Observer


class Relay:
    """Hands on what the first seed in a stage tells, and what another one tells once that one has failed.

    Args:
        shown: what is told.
    """

    def __init__(self, shown: Observer) -> None:
        self.shown = shown
        self.speaking: dict[str, int | None] = {}
        """Whose words on a stage are handed on; None: the next one's who has any."""

    @contextlib.contextmanager
    def of(self, slot: int) -> Iterator[Observer]:
        """The observer that one seed is given."""
        try:
            yield _One(self, slot)
        finally:
            self.speaking |= {stage: None for stage, one in self.speaking.items() if one == slot}


class _One:
    def __init__(self, relay: Relay, slot: int) -> None:
        self._relay, self._slot = relay, slot

    def _speaks(self, stage: str) -> bool:
        speaking = self._relay.speaking
        if stage in speaking and speaking[stage] is None:
            speaking[stage] = self._slot
        return speaking.get(stage) == self._slot

    def stage_started(self, stage: str, epochs: int, done: int) -> None:
        self._relay.speaking.setdefault(stage, self._slot)
        if self._speaks(stage):
            self._relay.shown.stage_started(stage, epochs, done)

    def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
        if self._speaks(stage):
            self._relay.shown.epoch_ended(stage, epoch, epochs, metrics)

    def stage_ended(self, stage: str) -> None:
        if self._speaks(stage):
            del self._relay.speaking[stage]
            self._relay.shown.stage_ended(stage)
