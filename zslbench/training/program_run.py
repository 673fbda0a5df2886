"""One program being trained: its state, one iteration after the other, and the checkpoints that hold it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from zslbench.errors import Diverged, Interrupted
from zslbench.plugin.interfaces import Networks, Program, Step
from zslbench.training import checkpoint
from zslbench.training.batches import Batches
from zslbench.training.checkpoint import flatten, prefixed, select
from zslbench.training.context import Training
from zslbench.training.graphs import Captured
from zslbench.training.iteration import Inputs, Iteration, draw_inputs, initial_networks
from zslbench.training.optimizers import optimizers_for
from zslbench.training.step import StepFunction, step_function as step_function, step_precision


class ProgramRun:
    """State of one program being trained: everything that a checkpoint holds."""

    def __init__(self, program: Program, semantics: Tensor, training: Training) -> None:
        self.program = program
        self.training = training
        self.streams = training.streams.child("noise")
        self.batches = Batches(program, semantics, self.streams)
        self.epoch = 0
        self.history: list[dict[str, Any]] = []
        self._begin(initial_networks(program, training.streams), program.frozen, step_function)

    def _begin(self, nets: Networks, frozen: Networks, function_of: Callable[[Step], StepFunction]) -> None:
        """Create everything that outlives an iteration."""
        program = self.program
        self.nets = nets
        self.optimizers = optimizers_for(program.optimizers, nets)
        self.iterations = program.iterations or math.ceil(len(program.labels) / program.batch_size)
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
            self.passes = graphs.capture(passes, stage, self.iterations * program.epochs)
        self._started = self._saved_at = time.monotonic()
        self._seconds_before = 0.0
        self._saving_took = 0.0

    @property
    def seconds(self) -> float:
        """Training time so far, over all processes that took part."""
        return self._seconds_before + time.monotonic() - self._started

    def networks(self) -> Networks:
        """Copies of the current networks, without frozen ones."""
        return {name: {key: t.detach().clone() for key, t in net.items()} for name, net in self.nets.items()}

    # --- epochs ----------------------------------------------------------------------------------

    def train_epoch(self) -> None:
        """Do the epoch's remaining iterations, with checkpoints in between.

        Raises:
            Interrupted: a stop was requested; the state is in the checkpoint.
        """
        for _ in self._rest_of_epoch():
            if self.training.stop_requested():
                self.save()
                raise Interrupted("stopped on request; run the same command again to continue")
            self.save_if_due()

    def _rest_of_epoch(self) -> Iterator[None]:
        """Yields between iterations."""
        total = self.iterations * len(self.passes)
        while self.iteration < total:
            number = self.iteration // self.iterations
            iteration = self.passes[number]
            inputs = self._draw(number)
            # Preparatory stages stay exact: SC-EGG's stage 1 diverges in bfloat16 (docs/speed.md).
            with step_precision(self.training.precision if self.program.paced else "float32"):
                iteration(inputs)
            for key, count in iteration.counts.items():
                self.counts[key] = self.counts.get(key, 0) + count
            self.iteration += 1
            if self.iteration < total:
                yield

    def _draw(self, number: int) -> Inputs:
        """The inputs of an iteration of pass ``number``."""
        return draw_inputs(self.program.passes[number], self.batches, self.streams)

    def figures(self) -> dict[str, float]:
        """Means over the epoch, once all its iterations are done.

        Raises:
            Diverged: one of them is NaN or infinite.
        """
        metrics = {key: float(self.sums[key]) / count for key, count in self.counts.items()}
        check_finite(metrics, self.training.stage, self.epoch + 1)
        return metrics

    def evaluation(self) -> contextlib.AbstractContextManager[None]:
        """Entered while an epoch is evaluated."""
        member = self.training.member
        return contextlib.nullcontext() if member is None else member.inside()

    def end_epoch(self, metrics: Mapping[str, float]) -> None:
        """Add the epoch's row to the history and move on to the next epoch."""
        self._next_epoch()
        self.history.append({"stage": self.training.stage, "epoch": self.epoch, **metrics})

    def _next_epoch(self) -> None:
        self.epoch += 1
        self.iteration = 0
        self.counts = {}
        for total in self.sums.values():
            total.zero_()

    def save_epoch(self) -> None:
        """Save after an epoch if it was the last one or a checkpoint is due."""
        if self.epoch == self.program.epochs:
            self.save()
        else:
            self.save_if_due()

    def close(self, error: BaseException | None = None) -> None:
        """End reading ahead and drop graphs, since an error's traceback may keep this object alive.

        Args:
            error: what ended the training early.
        """
        self.batches.close()
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
        started = time.monotonic()
        tensors = prefixed("nets/", flatten(self.nets))
        for name, optimizer in self.optimizers.items():
            tensors |= prefixed(f"optimizers/{name}/", optimizer.state())
        tensors |= prefixed("sums/", {key: self.sums[key] for key in self.counts})
        meta = {
            "epoch": self.epoch,
            "iteration": self.iteration,
            "counts": self.counts,
            "seconds": self.seconds,
        }
        own_tensors, own_meta = self._own_state()
        checkpoint.save(self.training.folder, tensors | own_tensors, meta | own_meta)
        self._saved_at = time.monotonic()
        self._saving_took = self._saved_at - started

    def _own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and facts of a checkpoint besides networks, optimisers and sums."""
        tensors = prefixed("streams/", self.streams.state()) | prefixed("sampler/", self.batches.state())
        return tensors, {"history": self.history}

    def resume(self) -> None:
        """Continue from the checkpoint, if there is one."""
        saved = checkpoint.load(self.training.folder) if self.training.folder else None
        if saved is None:
            return
        tensors, meta = saved
        self._restore(tensors, meta)
        self.streams.restore(select(tensors, "streams/"))
        self.batches.restore(select(tensors, "sampler/"))
        self.history = list(meta["history"])

    def _restore(self, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
        """Restore networks, optimisers and sums."""
        for path, value in select(tensors, "nets/").items():
            net, _, name = path.partition("/")
            self.nets[net][name].copy_(value)
        for name, optimizer in self.optimizers.items():
            optimizer.restore(select(tensors, f"optimizers/{name}/"))
        for key, value in select(tensors, "sums/").items():
            self.sums[key] = value.to(self.training.streams.device)
        self._seconds_before = float(meta.get("seconds", 0.0))
        self.epoch, self.iteration = meta["epoch"], meta["iteration"]
        self.counts = dict(meta["counts"])


def check_finite(metrics: Mapping[str, float], stage: str, epoch: int) -> None:
    """Raise Diverged if a figure of the epoch is NaN or infinite."""
    bad = sorted(key for key, value in metrics.items() if not math.isfinite(value))
    if bad:
        raise Diverged(
            f"stage '{stage}': {', '.join(bad)} not finite in epoch {epoch}; "
            "lower the learning rate or check the features' scale"
        )
