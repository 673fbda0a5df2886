"""One program being trained: its state, one iteration after the other, and the checkpoints that hold it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from zslbench.errors import Diverged, PluginError
from zslbench.interfaces import Batch, Networks, Program, Step
from zslbench.training import checkpoint
from zslbench.training.batches import Batches
from zslbench.training.context import Training
from zslbench.training.flat import flatten, prefixed, select, unflatten
from zslbench.training.optimizers import optimizers_for
from zslbench.training.step import draw, step_function


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
        self.functions = {id(s): step_function(s) for steps in program.passes for s in steps}
        self.epoch = 0
        self.iteration = 0  # within the epoch, over all passes
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
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
        total = self.iterations * len(self.program.passes)
        while self.iteration < total:
            batch: Batch | None = None
            for step in self.program.passes[self.iteration // self.iterations]:
                if step.fresh_batch or batch is None:
                    batch = self.batches.next()
                self._step(step, batch)
            self.iteration += 1
            if self.iteration < total:
                yield

    def _step(self, step: Step, batch: Batch) -> None:
        size = len(batch.labels)
        noise = {
            name: draw(spec, size, self.streams, f"{step.name}.{name}") for name, spec in step.noise.items()
        }
        everything = {**self.nets, **self.program.frozen}
        gradients, losses = self.functions[id(step)](everything, batch, noise)
        for net, gradient in gradients.items():
            self.optimizers[net].update(gradient)
        for net, tensors in (losses.buffers or {}).items():
            if net in self.optimizers:
                raise PluginError(f"step '{step.name}': buffers must not live in the trained network '{net}'")
            for name, value in tensors.items():
                self.nets[net][name] = value.detach()
        for name, value in {"loss": losses.total, **losses.log}.items():
            key = f"{step.name}_{name}"
            self.sums[key] = self.sums[key] + value.detach() if key in self.sums else value.detach()
            self.counts[key] = self.counts.get(key, 0) + 1

    def figures(self) -> dict[str, float]:
        """Means of the epoch's figures, once all its iterations are done."""
        metrics = {key: float(total) / self.counts[key] for key, total in self.sums.items()}
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
        self.sums, self.counts = {}, {}
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
        tensors |= prefixed("sums/", self.sums)
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
        for name, net in unflatten(select(tensors, "nets/")).items():
            for key, value in net.items():
                # In place where an optimiser holds the tensor; buffers are simply replaced.
                if name in self.optimizers:
                    self.nets[name][key].copy_(value)
                else:
                    self.nets[name][key] = value.to(device)
        for name, optimizer in self.optimizers.items():
            optimizer.restore(select(tensors, f"optimizers/{name}/"))
        self.streams.restore(select(tensors, "streams/"))
        self.batches.restore(select(tensors, "sampler/"))
        self._seconds_before = float(meta.get("seconds", 0.0))
        self.epoch, self.iteration = meta["epoch"], meta["iteration"]
        self.counts, self.history = dict(meta["counts"]), list(meta["history"])
        # In the order of the counts, which is the order of the columns in the run's tables.
        sums = select(tensors, "sums/")
        self.sums = {key: sums[key].to(device) for key in self.counts}
