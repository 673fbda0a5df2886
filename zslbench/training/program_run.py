"""One program being trained: its state, one iteration after the other, and the checkpoints that hold it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from zslbench.errors import Diverged, PluginError
from zslbench.interfaces import Networks, Program
from zslbench.training import checkpoint
from zslbench.training.batches import Batches
from zslbench.training.context import Training
from zslbench.training.flat import flatten, prefixed, select
from zslbench.training.iteration import Iteration, draw_inputs
from zslbench.training.optimizers import optimizers_for
from zslbench.training.step import step_function


class ProgramRun:
    """State of one program being trained: everything that a checkpoint holds."""

    def __init__(self, program: Program, semantics: Tensor, training: Training) -> None:
        self.program = program
        self.training = training
        self.semantics = semantics
        self.streams = training.streams.child("noise")
        self.nets: Networks = {
            name: {key: tensor.detach().clone() for key, tensor in net.items()}
            for name, net in program.initial(training.streams.child("initial")).items()
        }
        if strange := [name for name in program.optimizers if name not in self.nets]:
            raise PluginError(
                f"stage '{training.stage}': the program has an optimizer for {strange} and no such network"
            )
        self.optimizers = optimizers_for(program.optimizers, self.nets)
        self.batches = Batches(program, semantics, self.streams)
        self.iterations = program.iterations or math.ceil(len(program.labels) / program.batch_size)
        self.epoch = 0
        self.iteration = 0  # within the epoch, over all passes
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        functions = {id(s): step_function(s) for steps in program.passes for s in steps}
        self.passes = tuple(
            Iteration(
                steps,
                [functions[id(step)] for step in steps],
                self.nets,
                program.frozen,
                self.optimizers,
                self.sums,
            )
            for steps in program.passes
        )
        self.history: list[dict[str, Any]] = []
        self._started = self._saved_at = time.monotonic()
        self._seconds_before = 0.0
        self._saving_took = 0.0

    @property
    def seconds(self) -> float:
        """What it took so far, over all the processes that had a part in it."""
        return self._seconds_before + time.monotonic() - self._started

    def networks(self) -> Networks:
        """The trained networks as they are now (frozen ones are not among them)."""
        return {name: {key: t.detach().clone() for key, t in net.items()} for name, net in self.nets.items()}

    def rest_of_epoch(self) -> Iterator[None]:
        """Yields between iterations, where a checkpoint may be taken."""
        total = self.iterations * len(self.passes)
        while self.iteration < total:
            iteration = self.passes[self.iteration // self.iterations]
            iteration(draw_inputs(iteration.steps, self.batches, self.streams))
            for key, count in iteration.counts.items():
                self.counts[key] = self.counts.get(key, 0) + count
            self.iteration += 1
            if self.iteration < total:
                yield

    def figures(self) -> dict[str, float]:
        """Means of the epoch's figures, once all its iterations are done."""
        metrics = {key: float(self.sums[key]) / count for key, count in self.counts.items()}
        bad = sorted(key for key, value in metrics.items() if not math.isfinite(value))
        if bad:
            raise Diverged(
                f"stage '{self.training.stage}': {', '.join(bad)} not finite in epoch {self.epoch + 1}; "
                "lower the learning rate or check the features' scale"
            )
        return metrics

    def end_epoch(self, metrics: Mapping[str, float]) -> None:
        """Write the epoch's row and move on to the next epoch."""
        self.epoch += 1
        self.iteration = 0
        self.counts = {}
        for total in self.sums.values():
            total.zero_()
        self.history.append({"stage": self.training.stage, "epoch": self.epoch, **metrics})

    def close(self) -> None:
        """End what reads ahead."""
        self.batches.close()

    # --- checkpoints -----------------------------------------------------------------------------

    def save_if_due(self) -> None:
        # Large models are saved less often, so that saving stays below a twentieth of the time.
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
        tensors |= prefixed("streams/", self.streams.state())
        tensors |= prefixed("sampler/", self.batches.state())
        tensors |= prefixed("sums/", {key: self.sums[key] for key in self.counts})
        meta = {
            "epoch": self.epoch,
            "iteration": self.iteration,
            "counts": self.counts,
            "history": self.history,
            "seconds": self.seconds,
        }
        checkpoint.save(self.training.folder, tensors, meta)
        self._saved_at = time.monotonic()
        self._saving_took = self._saved_at - started

    def resume(self) -> None:
        if self.training.folder is None:
            return
        saved = checkpoint.load(self.training.folder)
        if saved is None:
            return
        tensors, meta = saved
        device = self.streams.device
        for path, value in select(tensors, "nets/").items():
            net, _, name = path.partition("/")
            self.nets[net][name].copy_(value)
        for name, optimizer in self.optimizers.items():
            optimizer.restore(select(tensors, f"optimizers/{name}/"))
        self.streams.restore(select(tensors, "streams/"))
        self.batches.restore(select(tensors, "sampler/"))
        self._seconds_before = float(meta.get("seconds", 0.0))
        self.epoch, self.iteration = meta["epoch"], meta["iteration"]
        self.counts, self.history = dict(meta["counts"]), list(meta["history"])
        for key, value in select(tensors, "sums/").items():
            self.sums[key] = value.to(device)
