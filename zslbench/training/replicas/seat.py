"""One seed's place in a lifted program, as the loop sees it: like a program that runs alone."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from zslbench.errors import Diverged, Interrupted
from zslbench.plugin.interfaces import Networks
from zslbench.training.replicas.asked import Asked
from zslbench.training.replicas.group import Member
from zslbench.training.replicas.lifted import LiftedRun


class Seat:
    """A member's part of a lifted run, used as :class:`~zslbench.training.program_run.ProgramRun` is.

    Epochs are trained together; what follows each of them (figures, evaluation, row) is the seed's own.
    """

    def __init__(self, run: LiftedRun, member: Member, asked: Asked) -> None:
        self.program, self.training = asked.program, asked.training
        self._run, self._member = run, member

    @property
    def history(self) -> list[dict[str, Any]]:
        return self._run.histories[self._member.slot]

    @property
    def epoch(self) -> int:
        ended = self._run.has_ended(self._member.slot)
        return len(self.history) + ended

    @property
    def seconds(self) -> float:
        """What it took so far, for all seeds together."""
        return self._run.seconds

    def networks(self) -> Networks:
        return self._run.networks_of(self._member.slot)

    def resume(self) -> None:
        self._run.load()

    def train_epoch(self) -> None:
        run, slot = self._run, self._member.slot
        if slot in run.failed:
            raise Diverged(run.failed[slot])

        def compute(slots: Mapping[int, Any]) -> Mapping[int, None]:
            run.train_epoch()
            return dict.fromkeys(slots)

        self._member.meet(("epoch", self.training.stage, id(run)), None, compute, needs=lambda: run.present)

    def figures(self) -> dict[str, float]:
        return self._run.figures_of(self._member.slot)

    def evaluation(self) -> contextlib.AbstractContextManager[None]:
        return self._member.inside(self._run.slots)

    def end_epoch(self, metrics: Mapping[str, float]) -> None:
        self._run.end_epoch_of(self._member.slot, metrics)

    def keep_epoch(self) -> None:
        self._run.keep_epoch()

    def save(self) -> None:
        self._run.save()

    def close(self, error: BaseException | None = None) -> None:
        # Where a stop was requested all seeds stop, and the state stays as it was saved.
        if error is None or (isinstance(error, Exception) and not isinstance(error, Interrupted)):
            self._run.leave(self._member.slot, usable=error is None)
        self._run.stand_up(self._member.slot)
