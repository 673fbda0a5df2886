"""Programs of several seeds as one: networks, optimisers and sums with a leading replica axis."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from zslbench.errors import Diverged, Interrupted
from zslbench.plugin.programs import Program, Step
from zslbench.plugin.views import Networks
from zslbench.training import checkpoint
from zslbench.training.checkpoint import flatten, prefixed, select, unflatten
from zslbench.training.context import Training
from zslbench.training.iteration import initial_networks, length
from zslbench.training.program_run import ProgramRun, copied, epoch_means
from zslbench.training.replicas.inputs import (
    Axes,
    ReplicaInputs,
    check_equal,
    shapes,
    stack,
    stack_or_share,
)
from zslbench.training.replicas.lifting import lifted_step
from zslbench.training.step import StepFunction


class MemberRun:
    """One seed's program and its share of a lifted run, with the interface of a ``ProgramRun``.

    Epochs are trained together; what follows each of them (figures, evaluation, row) belongs to the seed.
    """

    run: LiftedRun
    """The run that it is a member of."""
    position: int
    """Its position on the run's replica axis."""

    def __init__(
        self, program: Program, semantics: Tensor, training: Training, last: int | None = None
    ) -> None:
        self.program, self.semantics, self.training = program, semantics, training
        self.last = last or program.epochs
        """The epoch after which it stops."""
        self.history: list[dict[str, Any]] = []
        self.final: Networks | None = None
        """Once the seed's schedule has ended."""
        self.failure = ""
        """What made it diverge."""
        self.is_usable = True
        """Whether a checkpoint may hold its state: it did not fail for another reason than divergence."""
        self.is_open = True

    @property
    def epoch(self) -> int:
        return len(self.history)

    @property
    def is_active(self) -> bool:
        """Whether it still trains."""
        return self.final is None and not self.failure and self.is_usable

    @property
    def seconds(self) -> float:
        """Training time so far, of all seeds together."""
        return self.run.seconds

    def networks(self) -> Networks:
        """Copies of the seed's current or final networks."""
        if self.final is not None:
            return copied(self.final, device=self.training.streams.device)
        return copied(self.run.nets, self.position)

    def resume(self) -> None:
        self.run.resume()

    def train_epoch(self) -> None:
        """Train the epoch with the other seeds. A resumed seed that has evaluated its epoch waits for those
        that have not."""
        run, member = self.run, self.training.member
        assert member is not None
        if self.failure:
            raise Diverged(self.failure)

        def compute(slots: Mapping[int, Any]) -> Mapping[int, None]:
            run.train_epoch()
            return dict.fromkeys(slots)

        epoch = self.epoch
        key = ("epoch", self.training.stage, id(run), epoch)
        member.meet(key, None, compute, needs=lambda: run.training_slots(epoch))

    def figures(self) -> dict[str, float]:
        """The seed's means over the epoch."""
        sums = {key: total[self.position] for key, total in self.run.sums.items()}
        try:
            return epoch_means(sums, self.run.counts, self.training.stage, self.epoch + 1)
        except Diverged as error:
            self.failure = str(error)
            raise

    def evaluation(self) -> contextlib.AbstractContextManager[None]:
        assert self.training.member is not None
        return self.training.member.inside(self.run.slots)

    def end_epoch(self, metrics: Mapping[str, float]) -> None:
        """Add the seed's row; after its last epoch its networks are final."""
        self.history.append({"stage": self.training.stage, "epoch": self.epoch + 1, **metrics})
        if self.epoch == self.last:
            self.final = self.networks()
        self.run.save_epoch()

    def save(self) -> None:
        self.run.save()

    def close(self, error: BaseException | None = None) -> None:
        # A requested stop stops all seeds and leaves the state as it was saved.
        if isinstance(error, Exception) and not isinstance(error, Interrupted):
            self.is_usable = bool(self.failure)
        self.is_open = False
        if not any(one.is_open for one in self.run.members.values()):
            self.run.close()


class LiftedRun(ProgramRun):
    """The programs of some slots of a group, trained as one.

    A slot without a member, or whose seed left, is computed on another one's inputs, so that a seed's
    numbers never depend on how the others fare.

    Args:
        members: by slot, with programs of equal signatures.
        slots: the slot of each position on the replica axis.
        folder: for the checkpoints of this stage's lifted programs; None: no checkpoints.
    """

    is_lifted = True

    def __init__(self, members: Mapping[int, MemberRun], slots: Sequence[int], folder: Path | None) -> None:
        first = min(members)
        self.members, self.slots = dict(members), tuple(slots)
        self.sources = [slot if slot in members else first for slot in slots]
        """The member that each position on the replica axis is computed from."""
        for slot, one in members.items():
            one.run, one.position = self, self.slots.index(slot)
        self.program, self.epoch = members[first].program, 0
        self.last = max(one.last for one in members.values())
        self.passes = ()
        self._loaded: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        self._is_loaded = False
        own = "-".join(map(str, sorted(members)))
        self.training = replace(members[first].training, folder=folder / f"slots-{own}" if folder else None)
        self._axes: Axes = {}

    def training_slots(self, epoch: int) -> set[int]:
        """Slots that still train and have not ended a later epoch than ``epoch``."""
        return {slot for slot, one in self.members.items() if one.is_active and one.epoch <= epoch}

    def save_epoch(self) -> None:
        """Save if a seed's schedule has ended or a checkpoint is due, once all seeds have ended the epoch."""
        if self.training_slots(self.epoch):
            return
        if any(one.final is not None and one.epoch == self.epoch + 1 for one in self.members.values()):
            self.save()
        else:
            self.save_if_due()

    # --- training ----------------------------------------------------------------------------------

    def train_epoch(self) -> None:
        if not self.passes:
            self._build()
        if not self.training_slots(self.epoch):
            self._next_epoch()
        super().train_epoch()

    def _lengths(self) -> list[int]:
        return [length(self.members[slot].program) for slot in self.sources]

    def _build(self) -> None:
        """Create networks, optimisers and inputs when the first epoch begins: of programs that are split to
        fit into memory, only the one that trains takes any."""
        initial = {
            slot: initial_networks(one.program, one.training.streams) for slot, one in self.members.items()
        }
        check_equal([{"networks": shapes(nets)} for nets in initial.values()])
        frozen, axes = stack_or_share([self.members[slot].program.frozen for slot in self.sources])
        nets: Networks = stack([initial[slot] for slot in self.sources])
        # In the order of the networks that steps get: vmap pairs them by position.
        stacked: Axes = {net: dict.fromkeys(tensors, 0) for net, tensors in nets.items()}
        self._axes = stacked | axes
        programs = {
            slot: (one.program, one.semantics, one.training.streams) for slot, one in self.members.items()
        }
        self.inputs = ReplicaInputs(programs, self.sources)
        self._begin(nets, frozen, self._lifted)
        if self._loaded is not None:
            self._restore(*self._loaded)
            self._loaded = None

    def _lifted(self, step: Step) -> StepFunction:
        where = f"stage '{self.training.stage}': step '{step.name}'"
        programs = {slot: one.program for slot, one in self.members.items()}
        return lifted_step(
            step, self.program, programs, self.sources, self._axes, where, self.training.streams.device,
            checked=any(one.history for one in self.members.values()),
        )  # fmt: skip

    def close(self, error: BaseException | None = None) -> None:
        """End reading ahead and free everything that has a replica axis; final networks stay.

        Dictionaries are emptied in place, since exceptions and frames may keep this object alive for a while.
        """
        if not self.passes:
            return
        self._seconds_before, self._started = self.seconds, None
        super().close()
        for net in self.nets.values():
            net.clear()
        self.nets.clear()
        self.optimizers.clear()
        self.sums.clear()

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
            self._loaded = saved
            return

    def _can_use(self, meta: Mapping[str, Any]) -> bool:
        lengths = {int(slot): len(history) for slot, history in meta["histories"].items()}
        return (
            meta["slots"] == list(self.slots)
            and not meta["unusable"]
            and set(self.members) <= set(lengths)
            and all(
                lengths[slot] == one.last if slot in meta["done"] else lengths[slot] <= one.last
                for slot, one in self.members.items()
            )
        )

    def _own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors: dict[str, Tensor] = {}
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
