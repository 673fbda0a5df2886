"""Seeds that train together, as the loop sees them: programs that meet are lifted and run as one."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from zslbench.errors import Diverged, Interrupted, ZslbenchError
from zslbench.plugin.interfaces import Networks, Program
from zslbench.training.context import Run, Training
from zslbench.training.replicas import memory
from zslbench.training.replicas.asked import Asked, CannotLift, check_alike, form
from zslbench.training.replicas.lifted import LiftedRun
from zslbench.training.replicas.threads import ThreadGroup, ThreadMember


class Member(ThreadMember):
    """One seed's place in a group."""

    def train_together(
        self, program: Program, semantics: Tensor, training: Training, finish: Callable[[Run], Run]
    ) -> Run | None:
        """Train a program as one with those that the other members bring; None: it cannot be lifted.

        Args:
            finish: trains the member's run to its end.
        """
        asked = Asked(program, semantics, training)
        key = ("train", training.stage, self.base)
        try:
            run: LiftedRun = self.meet(key, asked, partial(_joined, self.group, self.base))
            return finish(MemberRun(run, self, asked))
        except CannotLift as reason:
            self.group.tell_plain(training.stage, str(reason))
            return None


class Group(ThreadGroup):
    """Seeds that train together; each slot's work is called with its :class:`Member`."""

    def member(self, slot: int) -> Member:
        return Member(self, slot, base=tuple(range(self.width)))


class MemberRun:
    """A member's part of a lifted run, with the interface of a ``ProgramRun``.

    Epochs are trained together; what follows each of them (figures, evaluation, row) is the seed's own.
    """

    def __init__(self, run: LiftedRun, member: ThreadMember, asked: Asked) -> None:
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

    def save_epoch(self) -> None:
        self._run.save_epoch()

    def save(self) -> None:
        self._run.save()

    def close(self, error: BaseException | None = None) -> None:
        # Where a stop was requested all seeds stop, and the state stays as it was saved.
        if error is None or (isinstance(error, Exception) and not isinstance(error, Interrupted)):
            self._run.leave(self._member.slot, usable=error is None)
        self._run.stand_up(self._member.slot)


def _joined(group: ThreadGroup, base: tuple[int, ...], asked: Mapping[int, Asked]) -> Mapping[int, LiftedRun]:
    check_alike({slot: form(one) for slot, one in asked.items()})
    training = asked[min(asked)].training
    try:
        count = memory.parts(asked[min(asked)], len(base))
    except ZslbenchError:
        raise
    except Exception as error:  # trained plainly, it says the same and where it happened
        raise CannotLift(f"stage '{training.stage}': its steps fail ({type(error).__name__})") from error
    if count > 1:
        group.tell_split(training.stage, count)
    folder = group.folder / training.stage if group.folder and training.folder else None
    runs: dict[int, LiftedRun] = {}
    for slots in equal_parts(base, count):
        if there := {slot: asked[slot] for slot in slots if slot in asked}:
            runs |= dict.fromkeys(there, LiftedRun(there, slots, folder))
    return runs


def equal_parts(slots: Sequence[int], count: int) -> list[tuple[int, ...]]:
    """The slots in order, in so many parts whose sizes differ by one at most."""
    size, larger = divmod(len(slots), count)
    ends = [0]
    for number in range(count):
        ends.append(ends[-1] + size + (number < larger))
    return [tuple(slots[start:end]) for start, end in itertools.pairwise(ends)]
