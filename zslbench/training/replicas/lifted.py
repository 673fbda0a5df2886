"""Programs of several seeds as one: networks, optimisers and sums with a leading replica axis."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zslbench.errors import Diverged, Interrupted
from zslbench.plugin.interfaces import Networks, Step
from zslbench.training import checkpoint
from zslbench.training.checkpoint import flatten, prefixed, select, unflatten
from zslbench.training.iteration import Inputs, initial_networks
from zslbench.training.program_run import ProgramRun, copied, epoch_means
from zslbench.training.replicas.inputs import (
    Axes,
    ReplicaInputs,
    Request,
    check_equal,
    shapes,
    stack_or_share,
)
from zslbench.training.replicas.lifting import lifted_step
from zslbench.training.step import StepFunction


class MemberRun:
    """One seed's share of a lifted run, with the interface of a ``ProgramRun``.

    Epochs are trained together; what follows each of them (figures, evaluation, row) belongs to the seed.
    """

    def __init__(self, run: LiftedRun, position: int, request: Request) -> None:
        self.program, self.training = request.program, request.training
        self.history: list[dict[str, Any]] = []
        self.row: dict[str, Any] | None = None
        """Of the current epoch, until all seeds ended it."""
        self.final: Networks | None = None
        """Once the seed's schedule has ended."""
        self.failure = ""
        """What made it diverge."""
        self.is_active = True
        """Whether it still trains."""
        self.is_usable = True
        """Whether a checkpoint may hold its state: it did not fail for another reason than divergence."""
        self.is_open = True
        self._run, self._position = run, position

    @property
    def epoch(self) -> int:
        return len(self.history) + (self.row is not None)

    @property
    def seconds(self) -> float:
        """Training time so far, of all seeds together."""
        return self._run.seconds

    def networks(self) -> Networks:
        """Copies of the seed's current or final networks."""
        if self.final is not None:
            return copied(self.final, device=self.training.streams.device)
        return copied(self._run.nets, self._position)

    def resume(self) -> None:
        self._run.resume()

    def train_epoch(self) -> None:
        run, member = self._run, self.training.member
        assert member is not None
        if self.failure:
            raise Diverged(self.failure)

        def compute(slots: Mapping[int, Any]) -> Mapping[int, None]:
            run.train_epoch()
            return dict.fromkeys(slots)

        member.meet(("epoch", self.training.stage, id(run)), None, compute, needs=run.active)

    def figures(self) -> dict[str, float]:
        """The seed's means over the epoch."""
        run = self._run
        sums = {key: total[self._position] for key, total in run.sums.items()}
        try:
            return epoch_means(sums, run.counts, self.training.stage, run.epoch + 1)
        except Diverged as error:
            self.failure = str(error)
            raise

    def evaluation(self) -> contextlib.AbstractContextManager[None]:
        assert self.training.member is not None
        return self.training.member.inside(self._run.slots)

    def end_epoch(self, metrics: Mapping[str, float]) -> None:
        """Add the seed's row; with its program's last epoch its networks are final."""
        run = self._run
        self.row = {"stage": self.training.stage, "epoch": run.epoch + 1, **metrics}
        if run.epoch + 1 == self.program.epochs:
            self.final = self.networks()
            self.is_active = False
            self.add_row()
        run.move_on()
        run.save_epoch()

    def add_row(self) -> None:
        """Move the row to the history."""
        if self.row is not None:
            self.history.append(self.row)
            self.row = None

    def save(self) -> None:
        self._run.save()

    def close(self, error: BaseException | None = None) -> None:
        # A requested stop stops all seeds and leaves the state as it was saved.
        if error is None or (isinstance(error, Exception) and not isinstance(error, Interrupted)):
            self.is_active, self.row = False, None
            self.is_usable = error is None or bool(self.failure)
            self._run.move_on()
        self.is_open = False
        if not any(one.is_open for one in self._run.members.values()):
            self._run.close()


class LiftedRun(ProgramRun):
    """The programs of some slots of a group, trained as one.

    A slot without a request, or whose seed left, is computed on another one's inputs, so that a seed's
    numbers never depend on how the others fare.

    Args:
        requests: by slot, of equal signatures.
        slots: the slot of each position on the replica axis.
        folder: for the checkpoints of this stage's lifted programs; None: no checkpoints.
    """

    def __init__(self, requests: Mapping[int, Request], slots: Sequence[int], folder: Path | None) -> None:
        first = min(requests)
        self.requests, self.slots = dict(requests), tuple(slots)
        self.sources = [slot if slot in requests else first for slot in slots]
        """The request that each position on the replica axis is computed from."""
        self.members = {slot: MemberRun(self, self.slots.index(slot), one) for slot, one in requests.items()}
        self.program, self.epoch = requests[first].program, 0
        self._inputs: ReplicaInputs | None = None
        self._loaded: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        self._is_loaded = False
        own = "-".join(map(str, sorted(requests)))
        self.training = replace(requests[first].training, folder=folder / f"slots-{own}" if folder else None)
        self._axes: Axes = {}

    def active(self) -> set[int]:
        """Slots that still train."""
        return {slot for slot, one in self.members.items() if one.is_active}

    def move_on(self) -> None:
        """To the next epoch, once every active seed has ended this one."""
        members = self.members.values()
        if self._inputs is None or any(one.is_active and one.row is None for one in members):
            return
        if self.iteration < self.iterations * len(self.passes):
            return
        for one in members:
            one.add_row()
        self._next_epoch()

    def save_epoch(self) -> None:
        if self.iteration:  # other seeds are still in the epoch
            return
        if any(one.final is not None and len(one.history) == self.epoch for one in self.members.values()):
            self.save()
        else:
            self.save_if_due()

    # --- training ----------------------------------------------------------------------------------

    def train_epoch(self) -> None:
        self._build()
        super().train_epoch()

    def _build(self) -> None:
        """Create networks, optimisers and inputs when the first epoch begins: of programs that are split to
        fit into memory, only the one that trains takes any."""
        if self._inputs is not None:
            return
        initial = {
            slot: initial_networks(one.program, one.training.streams) for slot, one in self.requests.items()
        }
        check_equal({slot: {"networks": shapes(nets)} for slot, nets in initial.items()})
        frozen, axes = stack_or_share([self.requests[slot].program.frozen for slot in self.sources])
        nets: Networks = tree_map(lambda *each: torch.stack(each), *(initial[slot] for slot in self.sources))
        # In the order of the networks that steps get: vmap pairs them by position.
        stacked: Axes = {net: dict.fromkeys(tensors, 0) for net, tensors in nets.items()}
        self._axes = stacked | axes
        self._begin(nets, frozen, self._lifted)
        inputs = ReplicaInputs(self.requests, self.sources)
        if self._loaded is not None:
            self._restore(*self._loaded)
            inputs.restore(self._loaded[0])
            self._loaded = None
        self._inputs = inputs

    def _lifted(self, step: Step) -> StepFunction:
        where = f"stage '{self.training.stage}': step '{step.name}'"
        programs = {slot: one.program for slot, one in self.requests.items()}
        return lifted_step(
            step, self.program, programs, self.sources, self._axes, where, self.training.streams.device,
            checked=self.epoch > 0,
        )  # fmt: skip

    def _draw(self, number: int) -> Inputs:
        assert self._inputs is not None
        return self._inputs.draw(number)

    def close(self, error: BaseException | None = None) -> None:
        """End reading ahead and free everything that has a replica axis; final networks stay.

        Dictionaries are emptied in place, since exceptions and frames may keep this object alive for a while.
        """
        if self._inputs is None:
            return
        self._seconds_before, self._started = self.seconds, None
        self._inputs.close()
        for net in self.nets.values():
            net.clear()
        self.nets.clear()
        self.optimizers.clear()
        self.sums.clear()
        self._inputs, self.passes = None, ()

    # --- checkpoints -------------------------------------------------------------------------------

    def resume(self) -> None:
        """Read the checkpoint, once; networks are created when training continues."""
        was_loaded, self._is_loaded = self._is_loaded, True
        own = self.training.folder
        if was_loaded or own is None or not own.parent.is_dir():
            return
        for folder in (own, *sorted(one for one in own.parent.glob("slots-*") if one != own)):
            saved = checkpoint.load(folder)
            if saved is None or not self._can_use(saved[1]):
                continue
            tensors, meta = saved
            self.training = replace(self.training, folder=folder)
            self.epoch, self._seconds_before = meta["epoch"], float(meta["seconds"])
            for slot, one in self.members.items():
                one.history = list(meta["histories"][str(slot)])
                one.failure = meta["failed"].get(str(slot), "")
                if slot in meta["done"]:
                    final = select(tensors, f"done/{slot}/")
                    one.final = unflatten({path: final[path] for path in meta["networks"]})
                one.is_active = one.final is None and not one.failure
            self._loaded = saved
            return

    def _can_use(self, meta: Mapping[str, Any]) -> bool:
        return (
            meta["slots"] == list(self.slots)
            and not meta["unusable"]
            and set(self.requests) <= {int(slot) for slot in meta["histories"]}
        )

    def _own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        assert self._inputs is not None
        tensors = self._inputs.state()
        finals = {slot: one.final for slot, one in self.members.items() if one.final is not None}
        for slot, nets in finals.items():
            tensors |= prefixed(f"done/{slot}/", flatten(nets))
        return tensors, {
            "slots": list(self.slots),
            "histories": {str(slot): one.history for slot, one in self.members.items()},
            "done": sorted(finals),
            "networks": list(flatten(self.nets)),  # in order, which the file of tensors does not preserve
            "failed": {str(slot): one.failure for slot, one in self.members.items() if one.failure},
            "unusable": sorted(slot for slot, one in self.members.items() if not one.is_usable),
        }
