"""Programs of several seeds as one: networks, optimisers and sums with a leading replica axis."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from zslbench.errors import Diverged
from zslbench.plugin.interfaces import Networks, Step
from zslbench.training import checkpoint
from zslbench.training.checkpoint import flatten, prefixed, select, unflatten
from zslbench.training.iteration import Inputs, initial_networks
from zslbench.training.program_run import ProgramRun, check_finite
from zslbench.training.replicas.inputs import (
    Axes,
    ReplicaInputs,
    Request,
    check_equal,
    shapes,
    stack,
    stack_or_share,
)
from zslbench.training.replicas.lifting import lifted_step
from zslbench.training.step import StepFunction


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
        first = requests[min(requests)]
        self.requests, self.slots = dict(requests), tuple(slots)
        self.program, self.epoch = first.program, 0
        self.active = set(requests)
        """Slots that still train."""
        self._open = set(requests)  # slots whose run was not closed
        self.histories: dict[int, list[dict[str, Any]]] = {slot: [] for slot in requests}
        self.done: dict[int, Networks] = {}
        """Final networks of the slots that have ended."""
        self.failed: dict[int, str] = {}
        """Slots that diverged, with the message."""
        self._ended: dict[int, dict[str, Any]] = {}  # rows of the current epoch, until all slots ended it
        self._unusable: set[int] = set()  # slots that left for another reason than divergence
        self._inputs: ReplicaInputs | None = None
        self._loaded: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        self._is_loaded = False
        self._spent = 0.0
        own = "-".join(map(str, sorted(requests)))
        self.training = replace(first.training, folder=folder / f"slots-{own}" if folder else None)
        self._axes: Axes = {}
        self._figures: dict[str, list[float]] | None = None

    # --- ends of epochs, one slot after the other ---------------------------------------------------

    def networks_of(self, slot: int) -> Networks:
        """A slot's current or final networks."""
        device = self.training.streams.device
        if slot in self.done:
            return {
                net: {k: t.to(device).clone() for k, t in ts.items()} for net, ts in self.done[slot].items()
            }
        here = self.slots.index(slot)
        return {net: {k: t[here].detach().clone() for k, t in ts.items()} for net, ts in self.nets.items()}

    def figures_of(self, slot: int) -> dict[str, float]:
        """A slot's means over the epoch."""
        if self._figures is None:
            self._figures = {key: self.sums[key].tolist() for key in self.counts}
        here = self.slots.index(slot)
        metrics = {key: self._figures[key][here] / count for key, count in self.counts.items()}
        try:
            check_finite(metrics, self.training.stage, self.epoch + 1)
        except Diverged as error:
            self.failed[slot] = str(error)
            raise
        return metrics

    def has_ended(self, slot: int) -> bool:
        """Whether a slot has ended the epoch that others are still in."""
        return slot in self._ended

    def end_epoch_of(self, slot: int, metrics: Mapping[str, float]) -> None:
        """Add a slot's row; after its program's last epoch it is done."""
        row = {"stage": self.training.stage, "epoch": self.epoch + 1, **metrics}
        if self.epoch + 1 == self.requests[slot].program.epochs:
            self.done[slot] = self.networks_of(slot)
            self.histories[slot].append(row)
            self.active.discard(slot)
        else:
            self._ended[slot] = row
        self._move_on()

    def leave(self, slot: int, *, usable: bool) -> None:
        """A slot stops training.

        Args:
            usable: whether a checkpoint may hold its state.
        """
        self.active.discard(slot)
        if not usable and slot not in self.failed:
            self._unusable.add(slot)
        self._ended.pop(slot, None)
        self._move_on()

    def release(self, slot: int) -> None:
        """A slot needs nothing more; the last one closes the run."""
        self._open.discard(slot)
        if not self._open:
            self.close()

    def _move_on(self) -> None:
        """To the next epoch, once every active slot has ended this one."""
        if self._inputs is None or not self.active <= self._ended.keys():
            return
        if self.iteration < self.iterations * len(self.passes):
            return
        for slot, row in self._ended.items():
            self.histories[slot].append(row)
        self._ended = {}
        self._figures = None
        self._next_epoch()

    def save_epoch(self) -> None:
        if self._inputs is None or self._ended or self.iteration:  # others are still in the epoch
            return
        if any(len(self.histories[slot]) == self.epoch for slot in self.done):
            self.save()
        else:
            self.save_if_due()

    # --- training ----------------------------------------------------------------------------------

    def train_epoch(self) -> None:
        self._build()
        super().train_epoch()
        self._figures = None

    def _build(self) -> None:
        """Create networks, optimisers and inputs when the first epoch begins: of programs that are split to
        fit into memory, only the one that trains takes any."""
        if self._inputs is not None:
            return
        initial = {
            slot: initial_networks(one.program, one.training.streams) for slot, one in self.requests.items()
        }
        check_equal({slot: {"networks": shapes(nets)} for slot, nets in initial.items()})
        sources = [slot if slot in self.requests else min(self.requests) for slot in self.slots]
        frozen, axes = stack_or_share([self.requests[slot].program.frozen for slot in sources])
        nets = stack([initial[slot] for slot in sources])
        stacked: Axes = {net: dict.fromkeys(tensors, 0) for net, tensors in nets.items()}
        self._axes = (
            stacked | axes
        )  # in the order of the networks that steps get: vmap pairs them by position
        self._begin(nets, frozen, self._lifted)
        inputs = ReplicaInputs(self.requests, self.slots)
        if self._loaded is not None:
            self._restore(*self._loaded)
            inputs.restore(self._loaded[0])
            self._loaded = None
        self._inputs = inputs

    def _lifted(self, step: Step) -> StepFunction:
        where = f"stage '{self.training.stage}': step '{step.name}'"
        programs = {slot: one.program for slot, one in self.requests.items()}
        return lifted_step(
            step, self.program, programs, self.slots, self._axes, where, self.training.streams.device,
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
        self._spent = self.seconds
        self._inputs.close()
        for net in self.nets.values():
            net.clear()
        self.nets.clear()
        self.optimizers.clear()
        self.sums.clear()
        self._inputs, self.passes = None, ()

    # --- checkpoints -------------------------------------------------------------------------------

    def load(self) -> None:
        """Read the checkpoint, once; networks are created when training continues."""
        if self._is_loaded:
            return
        self._is_loaded = True
        for folder in self._folders():
            saved = checkpoint.load(folder)
            if saved is None or not self._is_usable(saved[1]):
                continue
            tensors, meta = saved
            self.training = replace(self.training, folder=folder)
            self.epoch = meta["epoch"]
            for slot in self.requests:
                self.histories[slot] = list(meta["histories"][str(slot)])
                if str(slot) in meta["failed"]:
                    self.failed[slot] = meta["failed"][str(slot)]
                if slot in meta["done"]:
                    final = select(tensors, f"done/{slot}/")
                    self.done[slot] = unflatten({path: final[path] for path in meta["networks"]})
            self.active -= self.done.keys() | self.failed.keys()
            self._loaded = saved
            return

    def _folders(self) -> list[Path]:
        own = self.training.folder
        if own is None or not own.parent.is_dir():
            return []
        return [own, *sorted(one for one in own.parent.glob("slots-*") if one != own)]

    def _is_usable(self, meta: Mapping[str, Any]) -> bool:
        return (
            meta["slots"] == list(self.slots)
            and not meta["unusable"]
            and set(self.requests) <= {int(slot) for slot in meta["histories"]}
        )

    def _own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        assert self._inputs is not None
        tensors = self._inputs.state()
        for slot, nets in self.done.items():
            tensors |= prefixed(f"done/{slot}/", flatten(nets))
        return tensors, {
            "slots": list(self.slots),
            "histories": {str(slot): rows for slot, rows in self.histories.items()},
            "done": sorted(self.done),
            "networks": list(flatten(self.nets)),  # in order, which the file of tensors does not preserve
            "failed": {str(slot): text for slot, text in self.failed.items()},
            "unusable": sorted(self._unusable),
        }

    def save(self) -> None:
        if self._inputs is not None:
            super().save()

    @property
    def seconds(self) -> float:
        if self._inputs is None:
            return float(self._loaded[1]["seconds"]) if self._loaded else self._spent
        return self._seconds_before + time.monotonic() - self._started
