"""Members of a group run in threads, one at a time, in an order that never varies.

A member runs until it comes to a meeting. Once no member can run, the meeting that is ready is computed for
all who came to it, and they continue, the lowest slot first. Threads only hold the members' positions in code
that does not know of groups; nothing runs concurrently.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from zslbench.errors import Interrupted

T = TypeVar("T")

Compute = Callable[[Mapping[int, Any]], Mapping[int, Any]]
"""From what each member brought to a meeting, by slot, to what each is given."""


class Abandoned(BaseException):
    """The group was abandoned (a second Ctrl-C) while this member waited."""


@dataclass(frozen=True)
class _Meeting:
    key: Hashable
    brought: Any
    compute: Compute
    needs: Callable[[], Set[int]] | None
    depth: int


@dataclass
class Member:
    """One seed of a group, in its thread."""

    group: Group
    slot: int
    depth: int = 0
    """How many evaluations of epochs it is inside; inner meetings come first."""
    base: tuple[int, ...] = ()
    """Slots among which programs are lifted: the group's; inside an evaluation those of its program."""

    def meet(
        self, key: Hashable, brought: Any, compute: Compute, needs: Callable[[], Set[int]] | None = None
    ) -> Any:
        """Wait for the others and return this member's part of what was computed.

        Args:
            key: members with equal keys meet.
            brought: what this member brings.
            compute: called once, with what all who came brought. What it raises is raised by all of them.
            needs: slots that the meeting waits for, unless they have left; None: it begins with whoever came
                once nobody can continue without it.
        """
        return self.group.meet(self.slot, _Meeting(key, brought, compute, needs, self.depth))

    @contextlib.contextmanager
    def inside(self, slots: tuple[int, ...] | None = None) -> Iterator[None]:
        """While an epoch is evaluated; ``slots``: those of the program whose epoch it is."""
        before = self.depth, self.base
        self.depth, self.base = self.depth + 1, slots or self.base
        try:
            yield
        finally:
            self.depth, self.base = before


@dataclass
class Group:
    """Seeds that train together.

    Args:
        width: replicas that programs are lifted over; slots are 0 to width - 1.
        folder: for checkpoints of programs that train together; None: no checkpoints.
    """

    width: int
    folder: Path | None = None
    one_by_one: dict[str, str] = field(default_factory=dict)
    """Stages whose seeds were trained one by one, and why."""
    split: dict[str, int] = field(default_factory=dict)
    """Stages whose replicas were split to fit into memory, and into how many parts."""

    def __post_init__(self) -> None:
        self._live: set[int] = set()
        self._turns: dict[int, threading.Semaphore] = {}
        self._waiting: dict[int, _Meeting] = {}
        self._given: dict[int, tuple[Any, BaseException | None]] = {}
        self._shared: dict[Hashable, Any] = {}
        self._stopped: Interrupted | None = None
        self._abandoned = False
        self._over = threading.Event()

    def run(self, work: Mapping[int, Callable[[Member], T]]) -> dict[int, T | BaseException]:
        """Do each slot's work in its own thread; gives what it returned or raised."""
        ends: dict[int, T | BaseException] = {}

        def body(slot: int) -> None:
            self._turns[slot].acquire()
            try:
                if self._abandoned:
                    raise Abandoned
                ends[slot] = work[slot](Member(self, slot, base=tuple(range(self.width))))
            except BaseException as error:
                ends[slot] = error
            self._leave(slot, ends[slot])

        self._live = set(work)
        self._turns = {slot: threading.Semaphore(0) for slot in work}
        # Daemons: after a second Ctrl-C the process does not wait for them.
        threads = [threading.Thread(target=body, args=(slot,), daemon=True) for slot in sorted(work)]
        for thread in threads:
            thread.start()
        try:
            self._pass_on()
            self._over.wait()  # the main thread keeps catching signals
        except BaseException:
            self._abandoned = True
            for turn in self._turns.values():
                turn.release()
            raise
        for thread in threads:
            thread.join()
        return {slot: ends[slot] for slot in sorted(ends)}

    def share(self, key: Hashable, make: Callable[[], T]) -> T:
        """What the first member made under this key; it must not be changed."""
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]  # type: ignore[no-any-return]

    # What follows is called by the one thread that runs.

    def meet(self, slot: int, meeting: _Meeting) -> Any:
        if self._abandoned:
            raise Abandoned
        self._waiting[slot] = meeting
        self._pass_on()
        self._turns[slot].acquire()
        if self._abandoned:
            raise Abandoned
        given, error = self._given.pop(slot)
        if error is not None:
            raise error
        return given

    def _leave(self, slot: int, end: Any) -> None:
        self._live.discard(slot)
        if isinstance(end, Interrupted):  # one stop stops all: their common state was saved
            self._stopped = end
        if not self._abandoned:
            self._pass_on()

    def _pass_on(self) -> None:
        """Let the next member run; the calling thread then waits or ends."""
        while self._live and self._live == self._waiting.keys():
            self._hold(self._ready())
        if able := self._live - self._waiting.keys():
            self._turns[min(able)].release()
        else:
            self._over.set()

    def _ready(self) -> list[int]:
        """Who meets next: inner meetings before outer ones, those with ``needs`` before those without."""
        if self._stopped is not None:
            return sorted(self._waiting)

        def came(meeting: _Meeting) -> list[int]:
            return sorted(slot for slot, one in self._waiting.items() if one.key == meeting.key)

        ready = [
            (-one.depth, one.needs is None, slot)
            for slot, one in self._waiting.items()
            if one.needs is None or set(one.needs()) & self._live <= set(came(one))
        ]
        return came(self._waiting[min(ready)[2]]) if ready else []

    def _hold(self, slots: list[int]) -> None:
        error: BaseException | None = self._stopped
        if not slots:
            keys = sorted({str(one.key) for one in self._waiting.values()})
            slots, error = sorted(self._waiting), RuntimeError(f"replicas wait for each other: {keys}")
        meetings = {slot: self._waiting.pop(slot) for slot in slots}
        given: Mapping[int, Any] = {}
        if error is None:
            try:
                given = meetings[slots[0]].compute({slot: one.brought for slot, one in meetings.items()})
            except BaseException as raised:
                error = raised
        self._given |= {slot: (None if error else given[slot], error) for slot in slots}
