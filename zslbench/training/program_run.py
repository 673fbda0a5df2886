"""One program being trained: its state, one iteration after the other, and the checkpoints that hold it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from zslbench.errors import Diverged, Interrupted
from zslbench.plugin.programs import Program, Step
from zslbench.plugin.views import Networks
from zslbench.training import checkpoint
from zslbench.training.checkpoint import flatten, prefixed, select
from zslbench.training.context import Training
from zslbench.training.graphs import Captured
from zslbench.training.iteration import (
    Iteration,
    ProgramInputs,
    initial_networks,
    iterations,
    length,
    progress,
)
from zslbench.training.optimizers import NetworkOptimizer
from zslbench.training.step import StepFunction, step_function as step_function, step_precision


class ProgramRun:
    """State of one program being trained: everything that a checkpoint holds.

    Args:
        last: the epoch after which it stops; None: the program's last.
    """

    is_lifted = False
    """Whether its tensors have a leading replica axis."""
    _started: float | None = None
    _seconds_before = 0.0

    def __init__(
        self, program: Program, semantics: Tensor, training: Training, last: int | None = None
    ) -> None:
        self.program, self.training, self.last = program, training, last or program.epochs
        self.inputs = ProgramInputs(program, semantics, training.streams)
        self.epoch = 0
        self.history: list[dict[str, Any]] = []
        self._begin(initial_networks(program, training.streams), program.frozen, step_function)

    def _begin(self, nets: Networks, frozen: Networks, function_of: Callable[[Step], StepFunction]) -> None:
        """Create everything that outlives an iteration."""
        program = self.program
        self.nets = nets
        self.optimizers = {
            net: NetworkOptimizer(rule, nets[net], program.epochs, lifted=self.is_lifted)
            for net, rule in program.optimizers.items()
        }
        self.iterations = iterations(program)
        self.iteration = 0  # within the epoch, over all passes
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        functions = {id(s): function_of(s) for steps in program.passes for s in steps}
        passes = tuple(
            Iteration(steps, [functions[id(s)] for s in steps], nets, frozen, self.optimizers, self.sums)
            for steps in program.passes
        )
        graphs, stage = self.training.graphs, self.training.stage
        self.passes: tuple[Iteration | Captured, ...] = passes
        if graphs is not None:
            self.passes = graphs.capture(passes, stage, self.iterations * self.last)
        self._started = self._saved_at = time.monotonic()
        self._saving_took = 0.0

    @property
    def seconds(self) -> float:
        """Training time so far, over all processes that took part."""
        now = 0.0 if self._started is None else time.monotonic() - self._started
        return self._seconds_before + now

    def networks(self) -> Networks:
        """Copies of the current networks, without frozen ones."""
        return copied(self.nets)

    # --- epochs ----------------------------------------------------------------------------------

    def train_epoch(self) -> None:
        """Do the epoch's remaining iterations, with checkpoints in between; Interrupted, after one, if a stop
        was requested."""
        total = self.iterations * len(self.passes)
        self.inputs.begin_epoch(self.epoch)
        for optimizer in self.optimizers.values():
            optimizer.begin_epoch(self.epoch, resumed=self.iteration > 0)
        while self.iteration < total:
            number = self.iteration // self.iterations
            iteration = self.passes[number]
            done = self.epoch * total + self.iteration
            at = progress(self._lengths(), self.epoch, done, self.training.streams.device)
            inputs = self.inputs.draw(number, at)
            # Preparatory stages stay exact: SC-EGG's stage 1 diverges in bfloat16 (docs/speed.md).
            with step_precision(self.training.precision if self.program.paced else "float32"):
                iteration(inputs)
            for key, count in iteration.counts.items():
                self.counts[key] = self.counts.get(key, 0) + count
            self.iteration += 1
            if self.iteration == total:
                return
            if self.training.stop_requested():
                self.save()
                raise Interrupted("stopped on request; run the same command again to resume")
            self.save_if_due()

    def _lengths(self) -> int | list[int]:
        """Of the whole program, or those of all replicas."""
        return length(self.program)

    def figures(self) -> dict[str, float]:
        """See :func:`epoch_means`."""
        return epoch_means(self.sums, self.counts, self.training.stage, self.epoch + 1)

    def evaluation(self) -> contextlib.AbstractContextManager[None]:
        """Entered while an epoch is evaluated."""
        member = self.training.member
        return contextlib.nullcontext() if member is None else member.inside()

    def end_epoch(self, metrics: Mapping[str, float]) -> None:
        """Add the epoch's row to the history and move on; save if it was the last or a checkpoint is due."""
        self._next_epoch()
        self.history.append({"stage": self.training.stage, "epoch": self.epoch, **metrics})
        if self.epoch == self.last:
            self.save()
        else:
            self.save_if_due()

    def _next_epoch(self) -> None:
        self.epoch += 1
        self.iteration = 0
        self.counts = {}
        for total in self.sums.values():
            total.zero_()

    def close(self, error: BaseException | None = None) -> None:
        """End reading ahead and drop graphs: the traceback of the error that ended the training may keep this
        object alive."""
        self.inputs.close()
        self.passes = ()

    # --- checkpoints -----------------------------------------------------------------------------

    def save_if_due(self) -> None:
        # Large models are saved less often, so that saving takes less than a twentieth of the time.
        wait = self.training.checkpoint_seconds
        if wait > 0:
            wait = max(wait, 20 * self._saving_took)
        if time.monotonic() - self._saved_at >= wait:
            self.save()

    def save(self) -> None:
        if self.training.folder is None:
            return
        self.training.require_sound_data()
        started = time.monotonic()
        tensors = prefixed("nets/", flatten(self.nets))
        for name, optimizer in self.optimizers.items():
            tensors |= prefixed(f"optimizers/{name}/", optimizer.state())
        tensors |= prefixed("sums/", {key: self.sums[key] for key in self.counts})
        own_tensors, meta = self._own_state()
        for fact in ("epoch", "iteration", "counts", "seconds"):
            meta[fact] = getattr(self, fact)
        checkpoint.save(self.training.folder, tensors | self.inputs.state() | own_tensors, meta)
        self._saved_at = time.monotonic()
        self._saving_took = self._saved_at - started

    def _own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and facts of a checkpoint that every kind of run has for itself."""
        return {}, {"history": self.history}

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one."""
        saved = checkpoint.load(self.training.folder) if self.training.folder else None
        if saved is not None and saved[1]["epoch"] <= self.last:
            self._restore(*saved)
            self.history = list(saved[1]["history"])

    def _restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        for path, value in select(tensors, "nets/").items():
            net, _, name = path.partition("/")
            self.nets[net][name].copy_(value)
        for name, optimizer in self.optimizers.items():
            optimizer.restore(select(tensors, f"optimizers/{name}/"))
        for key, value in select(tensors, "sums/").items():
            self.sums[key] = value.to(self.training.streams.device)
        self.inputs.restore(tensors)
        self._seconds_before = float(meta["seconds"])
        self.epoch, self.iteration = meta["epoch"], meta["iteration"]
        self.counts = dict(meta["counts"])


def epoch_means(
    sums: Mapping[str, Tensor], counts: Mapping[str, int], stage: str, epoch: int
) -> dict[str, float]:
    """Means over an epoch, once all its iterations are done; Diverged if one is NaN or infinite."""
    means = {key: float(sums[key]) / count for key, count in counts.items()}
    if bad := sorted(key for key, value in means.items() if not math.isfinite(value)):
        raise Diverged(
            f"stage '{stage}': {', '.join(bad)} not finite in epoch {epoch}; "
            "lower the learning rate or check the features' scale"
        )
    return means


def copied(nets: Networks, position: int | None = None, device: torch.device | None = None) -> Networks:
    """Copies of networks, or of one replica's, on their own device or another."""

    def copy(tensor: Tensor) -> Tensor:
        return (tensor if position is None else tensor[position]).detach().to(device).clone()

    return tree_map(copy, nets)  # type: ignore[no-any-return]
