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
from zslbench.training.replicas.asked import Asked, check_alike, shapes
from zslbench.training.replicas.inputs import Sources
from zslbench.training.replicas.lifting import lifted_step
from zslbench.training.replicas.stacking import Axes, shared, stack
from zslbench.training.step import StepFunction


class LiftedRun(ProgramRun):
    """One program for every slot of a part of a group.

    A slot that nobody asked for, or that was left, is computed along with another one's inputs, so that what
    a seed gets never depends on how the others fare.

    Args:
        asked: by slot, what the members that take part want to run; their programs are alike.
        slots: the slot of each position on the replica axis.
        folder: where the checkpoints of this stage's lifted programs are; None: nowhere.
    """

    def __init__(self, asked: Mapping[int, Asked], slots: Sequence[int], folder: Path | None) -> None:
        first = asked[min(asked)]
        self.asked, self.slots = dict(asked), tuple(slots)
        self.program, self.epoch = first.program, 0
        self.present = set(asked)
        """Slots that still train."""
        self._seated = set(asked)  # slots that may still ask for something
        self.histories: dict[int, list[dict[str, Any]]] = {slot: [] for slot in asked}
        self.done: dict[int, Networks] = {}
        """What slots ended with, on the CPU or the device."""
        self.failed: dict[int, str] = {}
        """Slots that diverged, and the message."""
        self._ended: dict[int, dict[str, Any]] = {}  # rows of the epoch that not all have ended yet
        self._unusable: set[int] = set()  # slots that left in another way: their state is no good
        self._sources: Sources | None = None
        self._loaded: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        self._is_loaded = False
        self._spent = 0.0
        own = "-".join(map(str, sorted(asked)))
        self.training = replace(first.training, folder=folder / f"slots-{own}" if folder else None)
        self._axes: Axes = {}
        self._figures: dict[str, list[float]] | None = None

    # --- the ends of epochs, which slots come to one after the other ------------------------------

    def position(self, slot: int) -> int:
        return self.slots.index(slot)

    def networks_of(self, slot: int) -> Networks:
        """A slot's networks as they are now, or as it ended with them."""
        device = self.training.streams.device
        if slot in self.done:
            return {
                net: {k: t.to(device).clone() for k, t in ts.items()} for net, ts in self.done[slot].items()
            }
        here = self.position(slot)
        return {net: {k: t[here].detach().clone() for k, t in ts.items()} for net, ts in self.nets.items()}

    def figures_of(self, slot: int) -> dict[str, float]:
        """A slot's means over the epoch."""
        if self._figures is None:
            self._figures = {key: self.sums[key].tolist() for key in self.counts}
        here = self.position(slot)
        metrics = {key: self._figures[key][here] / count for key, count in self.counts.items()}
        try:
            check_finite(metrics, self.training.stage, self.epoch + 1)
        except Diverged as error:
            self.failed[slot] = str(error)
            raise
        return metrics

    def has_ended(self, slot: int) -> bool:
        """Whether a slot has ended the epoch that others have not ended yet."""
        return slot in self._ended

    def end_epoch_of(self, slot: int, metrics: Mapping[str, float]) -> None:
        """Write a slot's row; it is done after the last of its program's epochs."""
        row = {"stage": self.training.stage, "epoch": self.epoch + 1, **metrics}
        self._ended[slot] = row
        if self.epoch + 1 == self.asked[slot].program.epochs:
            self.done[slot] = self.networks_of(slot)
            self.histories[slot].append(self._ended.pop(slot))
            self.present.discard(slot)
        self._move_on()

    def leave(self, slot: int, *, usable: bool) -> None:
        """A slot takes no more part."""
        self.present.discard(slot)
        if not usable and slot not in self.failed:
            self._unusable.add(slot)
        self._ended.pop(slot, None)
        self._move_on()

    def stand_up(self, slot: int) -> None:
        """A slot asks for nothing more; all is let go with the last one."""
        self._seated.discard(slot)
        if not self._seated:
            self.close()

    def _move_on(self) -> None:
        """To the next epoch, once every slot has ended this one."""
        if self._sources is None or not self.present <= self._ended.keys():
            return
        total = self.iterations * len(self.passes)
        if self.iteration < total:
            return
        for slot, row in self._ended.items():
            self.histories[slot].append(row)
        self._ended = {}
        self._figures = None
        self._next_epoch()

    def save_epoch(self) -> None:
        if self._sources is None or self._ended or self.iteration:  # others have not ended the epoch yet
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
        """Make networks, optimisers and inputs, when the first epoch begins and not before: of programs
        that are split to fit only one at a time takes memory."""
        if self._sources is not None:
            return
        initial = {
            slot: initial_networks(one.program, one.training.streams) for slot, one in self.asked.items()
        }
        check_alike({slot: {"networks": shapes(nets)} for slot, nets in initial.items()})
        whose = [slot if slot in self.asked else min(self.asked) for slot in self.slots]
        frozen, axes = shared([self.asked[slot].program.frozen for slot in whose])
        nets = stack([initial[slot] for slot in whose])
        stacked: Axes = {net: dict.fromkeys(tensors, 0) for net, tensors in nets.items()}
        self._axes = stacked | axes
        self._begin(nets, frozen, self._lifted)
        sources = Sources(self.asked, self.slots)
        if self._loaded is not None:
            tensors, meta = self._loaded
            self._restore(tensors, meta)
            sources.restore(tensors)
            self._loaded = None
        self._sources = sources

    def _lifted(self, step: Step) -> StepFunction:
        where = f"stage '{self.training.stage}': step '{step.name}'"
        programs = {slot: one.program for slot, one in self.asked.items()}
        return lifted_step(
            step, self.program, programs, self.slots, self._axes, where, self.training.streams.device,
            sure=self.epoch > 0,
        )  # fmt: skip

    def _draw(self, number: int) -> Inputs:
        assert self._sources is not None
        return self._sources.draw(number)

    def close(self, error: BaseException | None = None) -> None:
        """End what reads ahead, and let go of all that has a replica axis; what slots ended with stays.

        In place, for torch's exceptions and Python's frames may hold on to this object for a while.
        """
        if self._sources is None:
            return
        self._spent = self.seconds
        self._sources.close()
        for net in self.nets.values():
            net.clear()
        self.nets.clear()
        self.optimizers.clear()
        self.sums.clear()
        self._sources, self.passes = None, ()

    # --- checkpoints -------------------------------------------------------------------------------

    def load(self) -> None:
        """Read the checkpoint, once; networks are made when training goes on."""
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
            for slot in self.asked:
                self.histories[slot] = list(meta["histories"][str(slot)])
                if str(slot) in meta["failed"]:
                    self.failed[slot] = meta["failed"][str(slot)]
                if slot in meta["done"]:
                    held = select(tensors, f"done/{slot}/")
                    self.done[slot] = unflatten({path: held[path] for path in meta["networks"]})
            self.present -= self.done.keys() | self.failed.keys()
            self._loaded = saved
            return

    def _folders(self) -> list[Path]:
        own = self.training.folder
        if own is None or not own.parent.is_dir():
            return []
        others = sorted(one for one in own.parent.glob("slots-*") if one != own)
        return [own, *others]

    def _is_usable(self, meta: Mapping[str, Any]) -> bool:
        return (
            meta["slots"] == list(self.slots)
            and not meta["unusable"]
            and set(self.asked) <= {int(slot) for slot in meta["histories"]}
        )

    def _own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        assert self._sources is not None
        tensors = self._sources.state()
        for slot, nets in self.done.items():
            tensors |= prefixed(f"done/{slot}/", flatten(nets))
        return tensors, {
            "slots": list(self.slots),
            "histories": {str(slot): rows for slot, rows in self.histories.items()},
            "done": sorted(self.done),
            "networks": list(flatten(self.nets)),  # their order, which the tensors' file does not keep
            "failed": {str(slot): text for slot, text in self.failed.items()},
            "unusable": sorted(self._unusable),
        }

    def save(self) -> None:
        if self._sources is not None:
            super().save()

    @property
    def seconds(self) -> float:
        if self._sources is None:
            return float(self._loaded[1]["seconds"]) if self._loaded else self._spent
        return self._seconds_before + time.monotonic() - self._started
