"""One iteration of a program: drawing its inputs, and the computation on the device that follows from them.

The two are separate so that the computation can be captured in a CUDA graph or lifted over replicas: it waits
for nothing, reads no value on the host, and updates every tensor that outlives a step in place.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from zslbench.errors import PluginError
from zslbench.plugin.boundary import located
from zslbench.plugin.programs import Batch, Losses, Program, Progress, Step
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Networks, Noise, Rows
from zslbench.training.batches import Sampler, reader_of
from zslbench.training.checkpoint import prefixed, select
from zslbench.training.optimizers import NetworkOptimizer
from zslbench.training.step import StepFunction, draw

STATE = "state"
"""The name of ``Program.state`` among the networks of steps."""


def initial_networks(program: Program, streams: Streams) -> Networks:
    """Copies of the program's initial networks, with its state.

    Raises:
        PluginError: an optimizer has no network, a frozen network is also an initial one, or the state is
            trained or frozen.
    """
    nets = program.initial(streams.child("initial"))
    if program.state or STATE in nets:  # networks of an earlier program come with its state
        nets = {**nets, STATE: {**program.state, **nets.get(STATE, {})}}
        if STATE in program.optimizers or STATE in program.frozen:
            raise PluginError(
                f"program '{program.name}': '{STATE}' names the program's state, which is not trained or "
                "frozen; rename that network"
            )
    for net in nets.keys() & program.frozen.keys():
        if any(nets[net].get(name) is not tensor for name, tensor in program.frozen[net].items()):
            raise PluginError(f"program '{program.name}': initial and frozen both have '{net}'; rename one")
    if missing := [name for name in program.optimizers if name not in nets]:
        raise PluginError(f"program '{program.name}': optimizers for {missing}, but no such networks")
    return {name: {key: tensor.detach().clone() for key, tensor in net.items()} for name, net in nets.items()}


class Inputs(NamedTuple):
    """What one iteration reads in addition to the networks; shapes are equal in all iterations of a pass."""

    batches: tuple[Batch, ...]
    """The batches in the order in which steps take fresh ones, see :func:`batch_numbers`."""
    noise: tuple[Noise, ...]
    """The noise of each step."""


class _Batches:
    """The batches of one size."""

    def __init__(self, program: Program, size: int, streams: Streams) -> None:
        stream = "batches" if size == program.batch_size else f"batches/{size}"
        labels = program.labels
        self.sampler = Sampler(len(labels), size, program.sampler, streams, labels, stream)
        self.reader = reader_of(program.features, streams.device)
        self.ahead: Tensor | None = None  # rows drawn but not used yet; checkpoints hold them

    def rows(self) -> Tensor:
        rows = self.sampler.next() if self.ahead is None else self.ahead
        self.ahead = None
        return rows


class ProgramInputs:
    """Draws the inputs of a program's iterations: batches, and noise from the run's streams ``noise``.

    Each batch size has its own sampler. Features with ``read_ahead = True`` (region features on
    disk) are read one batch ahead in a second thread; which rows a batch has does not depend on it.

    Args:
        name: of this program among several in a checkpoint, for example ``"3/"``.
    """

    def __init__(self, program: Program, semantics: Tensor, streams: Streams, name: str = "") -> None:
        self._program, self._semantics, self._name = program, semantics, name
        self._streams = streams.child("noise")
        sizes = {size for steps in program.passes for size in batch_sizes(program, steps)}
        self._batches = {size: _Batches(program, size, self._streams) for size in sorted(sizes)}

    def begin_epoch(self, epoch: int) -> None:
        """Call ``begin_epoch`` of features that have it: they differ from epoch to epoch."""
        if (begin := getattr(self._program.features, "begin_epoch", None)) is not None:
            begin(epoch)

    def draw(self, number: int, progress: Progress) -> Inputs:
        """The inputs of an iteration of pass ``number``."""
        sizes = batch_sizes(self._program, self._program.passes[number])
        batches = tuple(self.draw_batch(size)._replace(progress=progress) for size in sizes)
        return Inputs(batches, self.draw_noise(number, [len(one.labels) for one in batches]))

    def draw_batch(self, size: int) -> Batch:
        """The next batch; the one after it, of the same size, starts being read."""
        batches = self._batches[size]
        rows = batches.rows()
        if batches.reader is None:
            features = taken(self._program.features, rows)
        else:
            if not batches.reader.is_reading:
                batches.reader.request(rows)
            features = batches.reader.take()
            batches.ahead = batches.sampler.next()
            batches.reader.request(batches.ahead)
        labels = self._program.labels[rows]
        return Batch(features, labels, taken(self._semantics, labels))

    def draw_rows(self, size: int) -> Tensor:
        """Row numbers of the next batch, for a caller that takes the features itself."""
        return self._batches[size].rows()

    def draw_noise(self, number: int, rows: Sequence[int]) -> tuple[Noise, ...]:
        """The noise of each step of pass ``number`` alone, whose batches have so many rows."""
        steps = self._program.passes[number]
        return tuple(
            draw_noise(step, rows[batch], self._streams)
            for step, batch in zip(steps, batch_numbers(steps), strict=True)
        )

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        state = prefixed(f"streams/{self._name}", self._streams.state())
        for size, batches in self._batches.items():
            ahead = {} if batches.ahead is None else {"ahead": batches.ahead}
            state |= prefixed(self._path(size), batches.sampler.state() | ahead)
        return state

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue from :meth:`state`, also that of a run that did not read ahead."""
        self._streams.restore(select(tensors, f"streams/{self._name}"))
        for size, batches in self._batches.items():
            state = select(tensors, self._path(size))
            batches.sampler.restore(state)
            if "ahead" in state:
                batches.ahead = state["ahead"].to(self._program.labels.device)
            if batches.reader is not None:
                batches.reader.forget()

    def _path(self, size: int) -> str:
        own = "" if size == self._program.batch_size else f"{size}/"
        return f"sampler/{self._name}{own}"

    def close(self) -> None:
        """End the threads that read ahead."""
        for batches in self._batches.values():
            if batches.reader is not None:
                batches.reader.close()


def taken(features: Rows, rows: Tensor) -> Tensor:
    """``features[rows]``, which of a tensor ``index_select`` copies several times as fast."""
    return features.index_select(0, rows) if isinstance(features, Tensor) else features[rows]


def batch_numbers(steps: Sequence[Step]) -> tuple[int, ...]:
    """Which of the iteration's batches each step gets."""
    numbers, last = [], -1
    for step in steps:
        last += step.fresh_batch or last < 0
        numbers.append(last)
    return tuple(numbers)


def batch_sizes(program: Program, steps: Sequence[Step]) -> list[int]:
    """The size of each of an iteration's batches, before it is capped at the number of examples."""
    fresh = [step for number, step in enumerate(steps) if step.fresh_batch or number == 0]
    return [program.batch_size if step.batch_size is None else step.batch_size for step in fresh]


def iterations(program: Program) -> int:
    """Iterations of each pass in an epoch."""
    return program.iterations or math.ceil(len(program.labels) / program.batch_size)


def length(program: Program) -> int:
    """Iterations of the whole program."""
    return iterations(program) * len(program.passes) * program.epochs


def progress(lengths: int | Sequence[int], epoch: int, iteration: int, device: torch.device) -> Progress:
    """Progress after so many epochs and iterations of a program, or of replicas' programs, (replicas,)."""
    each, shape = ([lengths], ()) if isinstance(lengths, int) else (lengths, (len(lengths),))
    shares = [iteration / one for one in each]

    def filled(value: float) -> Tensor:
        return torch.full(shape, value, device=device, dtype=torch.float32)

    # Filling waits for nothing, unlike a copy from the host.
    same = len(set(shares)) == 1
    share = filled(shares[0]) if same else torch.tensor(shares, device=device, dtype=torch.float32)
    return Progress(filled(epoch), filled(iteration), share)


def last_progress(program: Program, device: torch.device) -> Progress:
    """Progress in the program's last iteration."""
    return progress(length(program), program.epochs - 1, length(program) - 1, device)


def draw_noise(step: Step, rows: int, streams: Streams) -> Noise:
    """The noise of one step, each term from its own stream."""
    return {name: draw(spec, rows, streams, f"{step.name}.{name}") for name, spec in step.noise.items()}


def example_calls(
    program: Program, semantics: Tensor, streams: Streams
) -> Iterator[tuple[Step, Batch, Noise]]:
    """Each different step with a batch and noise as in the last iteration, after all warm-ups."""
    at = last_progress(program, streams.device)
    seen: set[tuple[int, int]] = set()
    for steps in program.passes:
        sizes = batch_sizes(program, steps)
        for step, number in zip(steps, batch_numbers(steps), strict=True):
            if (id(step), size := sizes[number]) in seen:
                continue
            seen.add((id(step), size))
            labels = program.labels
            rows = Sampler(len(labels), size, program.sampler, streams, labels).next()
            batch = Batch(program.features[rows], labels[rows], semantics[labels[rows]], at)
            yield step, batch, draw_noise(step, len(rows), streams)


class Iteration:
    """All steps of a pass once: a function of its :class:`Inputs` that updates networks and sums in place.

    Args:
        functions: the step function of each step, lifted or not.
        nets: networks that change, with ``state``; ``frozen``: those that do not.
        sums: running sums of losses and logged figures, created when a figure first occurs.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        functions: Sequence[StepFunction],
        nets: Networks,
        frozen: Networks,
        optimizers: Mapping[str, NetworkOptimizer],
        sums: dict[str, Tensor],
    ) -> None:
        self.steps, self.functions, self.numbers = tuple(steps), tuple(functions), batch_numbers(steps)
        self.nets, self.optimizers, self.sums = nets, optimizers, sums
        self.everything = {**nets, **frozen}
        self.counts: dict[str, int] = {}
        """How many values an iteration adds to each sum; known after the first call."""

    def __call__(self, inputs: Inputs) -> None:
        counts: Counter[str] = Counter()
        for step, function, number, noise in zip(
            self.steps, self.functions, self.numbers, inputs.noise, strict=True
        ):
            with located(step=step.name):
                gradients, losses = function(self.everything, inputs.batches[number], noise)
            # A loss or a new state may be one of the networks' own tensors: read it before they change.
            for name, value in {"loss": losses.total, **losses.log}.items():
                key = f"{step.name}_{name}"
                self._add(key, value.detach())
                counts[key] += 1
            state = self._new_state(step, losses)
            for net, gradient in gradients.items():
                self.optimizers[net].update(gradient)
            for held, value in state:
                held.copy_(value)
        self.counts = dict(counts)

    def _add(self, key: str, value: Tensor) -> None:
        if key not in self.sums:
            # A sum in half precision would lose small figures.
            dtype = torch.promote_types(value.dtype, torch.float32)
            self.sums[key] = torch.zeros_like(value, dtype=dtype)
        self.sums[key].add_(value)

    def _new_state(self, step: Step, losses: Losses) -> list[tuple[Tensor, Tensor]]:
        """Pairs of a state tensor and its new value, which shares no memory with any network."""
        found = []
        for name, value in (losses.state or {}).items():
            held = self.nets.get(STATE, {}).get(name)
            if held is None or (held.shape, held.dtype) != (value.shape, value.dtype):
                raise PluginError(
                    f"step '{step.name}': state '{name}' does not match Program.state; declare it there, "
                    "with the same shape and dtype"
                )
            value = value.detach()
            found.append((held, value.clone() if self._is_shared(value) else value))
        return found

    def _is_shared(self, value: Tensor) -> bool:
        own = (tensor for net in self.nets.values() for tensor in net.values())
        where = value.untyped_storage().data_ptr()
        return any(tensor.untyped_storage().data_ptr() == where for tensor in own)
