"""Seeds that train together, as the loop sees them: programs that meet are lifted and trained as one."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zslbench.errors import Diverged, Interrupted, ZslbenchError
from zslbench.plugin.interfaces import Batch, Networks, Program
from zslbench.plugin.streams import Streams
from zslbench.training.context import Run, Training
from zslbench.training.iteration import draw_noise, initial_networks
from zslbench.training.replicas.inputs import CannotLift, Request, check_equal, signature
from zslbench.training.replicas.lifted import LiftedRun
from zslbench.training.replicas.threads import ThreadGroup, ThreadMember
from zslbench.training.step import step_function


class Member(ThreadMember):
    """One seed of a group."""

    def train_together(
        self, program: Program, semantics: Tensor, training: Training, finish: Callable[[Run], Run]
    ) -> Run | None:
        """Train a program as one with those of the other members; None: it cannot be lifted.

        Args:
            finish: trains the member's run to its end.
        """
        request = Request(program, semantics, training)
        key = ("train", training.stage, self.base)
        try:
            run: LiftedRun = self.meet(key, request, partial(_lift, self.group, self.base))
            return finish(MemberRun(run, self, request))
        except CannotLift as reason:
            self.group.note_one_by_one(training.stage, str(reason))
            return None


class Group(ThreadGroup):
    """Seeds that train together; each slot's work is called with its :class:`Member`."""

    def member(self, slot: int) -> Member:
        return Member(self, slot, base=tuple(range(self.width)))


class MemberRun:
    """One seed's share of a lifted run, with the interface of a ``ProgramRun``.

    Epochs are trained together; what follows each of them (figures, evaluation, row) belongs to the seed.
    """

    def __init__(self, run: LiftedRun, member: ThreadMember, request: Request) -> None:
        self.program, self.training = request.program, request.training
        self._run, self._member, self._slot = run, member, member.slot

    @property
    def history(self) -> list[dict[str, Any]]:
        return self._run.histories[self._slot]

    @property
    def epoch(self) -> int:
        return len(self.history) + self._run.has_ended(self._slot)

    @property
    def seconds(self) -> float:
        """Training time so far, of all seeds together."""
        return self._run.seconds

    def networks(self) -> Networks:
        return self._run.networks_of(self._slot)

    def resume(self) -> None:
        self._run.load()

    def train_epoch(self) -> None:
        run = self._run
        if self._slot in run.failed:
            raise Diverged(run.failed[self._slot])

        def compute(slots: Mapping[int, Any]) -> Mapping[int, None]:
            run.train_epoch()
            return dict.fromkeys(slots)

        self._member.meet(("epoch", self.training.stage, id(run)), None, compute, needs=lambda: run.active)

    def figures(self) -> dict[str, float]:
        return self._run.figures_of(self._slot)

    def evaluation(self) -> contextlib.AbstractContextManager[None]:
        return self._member.inside(self._run.slots)

    def end_epoch(self, metrics: Mapping[str, float]) -> None:
        self._run.end_epoch_of(self._slot, metrics)

    def save_epoch(self) -> None:
        self._run.save_epoch()

    def save(self) -> None:
        self._run.save()

    def close(self, error: BaseException | None = None) -> None:
        # A requested stop stops all seeds and leaves the state as it was saved.
        if error is None or (isinstance(error, Exception) and not isinstance(error, Interrupted)):
            self._run.leave(self._slot, usable=error is None)
        self._run.release(self._slot)


def _lift(
    group: ThreadGroup, base: tuple[int, ...], requests: Mapping[int, Request]
) -> Mapping[int, LiftedRun]:
    """The lifted run of each slot that brought a request."""
    check_equal({slot: signature(one) for slot, one in requests.items()})
    first = requests[min(requests)]
    training = first.training
    try:
        count = parts(first, len(base))
    except ZslbenchError:
        raise
    except Exception as error:  # trained by itself, the program says the same and where it happened
        raise CannotLift(f"stage '{training.stage}': its steps fail ({type(error).__name__})") from error
    if count > 1:
        group.note_split(training.stage, count)
    folder = group.folder / training.stage if group.folder and training.folder else None
    runs: dict[int, LiftedRun] = {}
    for slots in equal_parts(base, count):
        if present := {slot: requests[slot] for slot in slots if slot in requests}:
            runs |= dict.fromkeys(present, LiftedRun(present, slots, folder))
    return runs


def equal_parts(slots: Sequence[int], count: int) -> list[tuple[int, ...]]:
    """The slots in order, in ``count`` parts whose sizes differ by at most one."""
    size, larger = divmod(len(slots), count)
    ends = [0]
    for number in range(count):
        ends.append(ends[-1] + size + (number < larger))
    return [tuple(slots[start:end]) for start, end in itertools.pairwise(ends)]


# --- memory ----------------------------------------------------------------------------------------
# An upper estimate that depends on the program and the machine, never on what is free at the moment, so that
# the same seeds are always lifted together.

SHARE = 0.45
"""Part of the machine's memory that replicas may take; region features may take half of it."""
PER_WEIGHT = 4
"""A trained weight, its gradient and two moments."""


def total_memory(device: torch.device) -> int:
    """Bytes of memory of the GPU, or of this machine."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def parts(request: Request, count: int) -> int:
    """Into how many equal parts ``count`` replicas are split, of which one trains at a time."""
    available = SHARE * total_memory(request.training.streams.device)
    fit = max(1, int(available // max(1, replica_memory(request))))
    return math.ceil(count / min(fit, count))


def replica_memory(request: Request) -> int:
    """Bytes that one replica of a program takes at most: networks, features and a step's activations."""
    program = request.program
    nets = initial_networks(program, request.training.streams)
    weights = sum(
        _bytes(tensor) * (PER_WEIGHT if net in program.optimizers else 1)
        for net, tensors in (nets | program.frozen).items()
        for tensor in tensors.values()
    )
    features = _bytes(program.features) if isinstance(program.features, Tensor) else 0
    return weights + features + _activations(request, nets)


def _activations(request: Request, nets: Networks) -> int:
    """Bytes of all tensors that the largest step creates, as if none were freed before its end."""
    program, device = request.program, request.training.streams.device
    rows = torch.arange(min(program.batch_size, len(program.labels)), device=device)
    labels = program.labels[rows]
    batch = Batch(program.features[rows], labels, request.semantics[labels])
    largest = 0
    for step in {id(step): step for steps in program.passes for step in steps}.values():
        noise = draw_noise(step, len(rows), Streams(0, device))
        with _CountBytes() as counted:
            step_function(step)({**nets, **program.frozen}, batch, noise)
        largest = max(largest, counted.bytes + sum(_bytes(one) for one in (*batch, *noise.values())))
    return largest


class _CountBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of every tensor that operations create; views of their arguments do not count."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {_address(one) for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)}
        for one in tree_leaves(result):
            if isinstance(one, Tensor) and _address(one) not in given:
                self.bytes += _bytes(one)
        return result


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
