"""Where members' programs come together: which of them run as one, and over which replicas."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial

from zslbench.errors import ZslbenchError
from zslbench.training.replicas import memory
from zslbench.training.replicas.asked import Asked, CannotLift, check_alike, form
from zslbench.training.replicas.group import Group, Member
from zslbench.training.replicas.lifted import LiftedRun
from zslbench.training.replicas.seat import Seat


def join(asked: Asked, member: Member) -> Seat:
    """A place in the lifted run of this program and of those that the other members come with.

    Raises:
        CannotLift: the programs differ, or a program cannot be lifted.
    """
    key = ("train", asked.training.stage, member.base)
    run: LiftedRun = member.meet(key, asked, partial(_joined, member.group, member.base))
    return Seat(run, member, asked)


def _joined(group: Group, base: tuple[int, ...], asked: Mapping[int, Asked]) -> Mapping[int, LiftedRun]:
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
