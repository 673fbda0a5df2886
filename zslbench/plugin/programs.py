"""Training as data: what ``fit`` returns, and what the core hands to the steps of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator as Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Networks, Noise, Rows


class Progress(NamedTuple):
    """How far training is, as float32 tensors on the device; for weights that change as it goes on, see
    :func:`zslbench.training.warm_up`."""

    epoch: Float[Tensor, ""]
    """Completed epochs: 0 throughout the first."""
    iteration: Float[Tensor, ""]
    """Completed iterations of the whole program, over all passes and epochs."""
    share: Float[Tensor, ""]
    """Completed share of ``Program.epochs``, in [0, 1), even if training stops earlier."""


_START = Progress(*torch.zeros(3).unbind())


class Batch(NamedTuple):
    """The training examples of one step."""

    features: Tensor
    """(b, d), (b, regions, dv) where the program's features are regions, or (b, 3, size, size) uint8 where
    they are pictures."""
    labels: Int[Tensor, " b"]
    semantics: Float[Tensor, "b attributes"]
    """a(label) of each example."""
    progress: Progress = _START
    """When the step is taken."""


class Losses(NamedTuple):
    """The result of a step."""

    total: Float[Tensor, ""]
    """The loss whose gradient updates the step's networks."""
    log: dict[str, Tensor]
    """Scalars to record; the core averages them over the epoch."""
    state: Mapping[str, Tensor] | None = None
    """New values of entries of ``Program.state``; others do not change."""


@dataclass(frozen=True)
class Normal:
    """Standard normal noise, ``(b, *shape)``; without ``per_row`` ``shape``, whatever the batch."""

    shape: tuple[int, ...]
    per_row: bool = True


@dataclass(frozen=True)
class Uniform:
    """Uniform noise on [0, 1), ``(b, *shape)``; without ``per_row`` ``shape``."""

    shape: tuple[int, ...]
    per_row: bool = True


@dataclass(frozen=True)
class Choice:
    """Entries of ``values``, for example unseen class ids, drawn uniformly with replacement,
    ``(b, *shape)``; without ``per_row`` ``shape``."""

    values: Int[Tensor, " k"]
    shape: tuple[int, ...] = ()
    per_row: bool = True


@dataclass(frozen=True)
class Permutation:
    """A random order of the batch's rows, (b,) int64: ``x[noise["order"]]`` shuffles x."""


NoiseSpec: TypeAlias = Normal | Uniform | Choice | Permutation


@dataclass(frozen=True)
class Step:
    """One update: a plain function of (networks, batch, noise).

    ``losses`` must be pure: no ``.item()``, no ``if`` on a tensor's value, no randomness but ``noise``, no
    in-place change; derivatives inside it by ``torch.func.grad`` or in closed form. Prefer the layers and
    losses of :mod:`zslbench.training`. Read tensors that depend on the seed, such as trained networks, from
    ``nets``: put them into the program's ``frozen``. Then the core can batch the function over seeds and
    capture it in a CUDA graph.
    """

    name: str
    losses: Callable[[Networks, Batch, Noise], Losses]
    updates: tuple[str, ...]
    """The networks that this step's gradient updates; the others are constants."""
    noise: Mapping[str, NoiseSpec] = field(default_factory=dict)
    """Every noise term by name. Leave out a term that is switched off: it then draws nothing."""
    fresh_batch: bool = True
    """False: reuse the batch of the previous step (not for the first step of a pass)."""
    batch_size: int | None = None
    """Size of its fresh batch; None: the program's. Batches of another size are drawn by a sampler of their
    own, of the same kind."""
    accumulate: int = 1
    """Parts that the batch is computed in, one after the other, where it does not fit into memory; gradients,
    figures and new state are the parts' means, weighted by their rows. Equal to the whole batch up to
    rounding for losses that are means over rows; others (batch statistics, contrasts within the batch) see
    one part at a time."""


@dataclass(frozen=True)
class Exponential:
    """Multiplied by ``gamma`` every ``every`` epochs (StepLR; ExponentialLR with ``every=1``)."""

    gamma: float
    every: int = 1

    def factor(self, epoch: int, epochs: int) -> float:
        return self.gamma ** (epoch // self.every)


@dataclass(frozen=True)
class MultiStep:
    """Multiplied by ``gamma`` after each of these numbers of epochs (MultiStepLR)."""

    milestones: tuple[int, ...]
    gamma: float = 0.1

    def factor(self, epoch: int, epochs: int) -> float:
        return self.gamma ** sum(one <= epoch for one in self.milestones)


@dataclass(frozen=True)
class Cosine:
    """Falls from 1 to ``final`` along half a cosine over the whole program (CosineAnnealingLR)."""

    final: float = 0.0

    def factor(self, epoch: int, epochs: int) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * epoch / epochs)) / 2


@dataclass(frozen=True)
class WarmUp:
    """Rises linearly from ``start`` to 1 over the first ``epochs`` epochs (LinearLR), then follows
    ``then`` over the remaining ones (SequentialLR)."""

    epochs: int
    then: LRSchedule | None = None
    start: float = 0.1

    def factor(self, epoch: int, epochs: int) -> float:
        if epoch < self.epochs:
            return self.start + (1 - self.start) * epoch / self.epochs
        return self.then.factor(epoch - self.epochs, epochs - self.epochs) if self.then else 1.0


LRSchedule: TypeAlias = Exponential | MultiStep | Cosine | WarmUp
"""The learning rate as a multiple of ``Optimizer.lr``: ``factor(epoch, epochs)`` after ``epoch`` completed
epochs of the ``epochs`` of the program; constant within an epoch. In brackets torch's names."""


@dataclass(frozen=True)
class Optimizer:
    """The optimiser of a network; the rules are torch.optim's.

    Networks with equal rules train as if one optimiser had all their tensors. The exception is
    ``clip_norm``, which is per network: where a source clips a joint norm, make them one network.
    """

    kind: Literal["adam", "rmsprop", "sgd"] = "adam"
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    """Of Adam."""
    momentum: float = 0.0
    """Of RMSprop and SGD."""
    weight_decay: float = 0.0
    """Added to the gradient times the weight (L2), after clipping."""
    amsgrad: bool = False
    """Of Adam: uses the largest second moment so far instead of the current one."""
    eps: float | None = None
    """Of Adam and RMSprop, added to the root of the second moment; None: torch's 1e-8."""
    clip_value: float | None = None
    """Each entry of the gradient is bounded to [-clip_value, clip_value]."""
    clip_norm: float | None = None
    """Bound of the norm of the network's gradient; a longer gradient is scaled down to it."""
    lr_schedule: LRSchedule | None = None
    """None: a constant learning rate."""
    restart_every: int | None = None
    """Epochs after which moments and step counts are reset, as in a new optimiser."""


@dataclass(frozen=True)
class Episodic:
    """Batches of ``images`` random images of each of ``classes`` random classes (N-way, K-shot), class by
    class: ``x.reshape(classes, images, -1)``. A class with fewer images repeats them."""

    classes: int
    images: int


Sampling: TypeAlias = Literal["independent", "shuffled", "balanced"] | Episodic
"""How batches are drawn. ``independent``: every batch is a fresh draw without replacement; ``shuffled``:
batches walk through permutations of the data, one wrapping into the next; ``balanced``: a fresh draw with, as
nearly as possible, equally many images of each class; :class:`Episodic`."""


@dataclass(frozen=True)
class Program:
    """Training described as data. One epoch runs each pass over the data in turn.

    A pass is a sequence of steps that repeats ceil(n / batch_size) times, so five critic steps and one
    generator step are ``(critic,) * 5 + (generator,)``.
    """

    initial: Callable[[Streams], Networks]
    """Networks before training; random values come only from the streams given."""
    passes: tuple[tuple[Step, ...], ...]
    optimizers: Mapping[str, Optimizer]
    """One for every network that a step updates."""
    features: Rows
    labels: Int[Tensor, " n"]
    epochs: int
    batch_size: int
    sampler: Sampling = "independent"
    iterations: int | None = None
    """Batches per pass and epoch; None: ceil(n / batch_size)."""
    frozen: Networks = field(default_factory=dict)
    """Networks that the steps read and nothing changes, for example a guide."""
    state: Mapping[str, Tensor] = field(default_factory=dict)
    """Initial values of tensors that change but are not trained (an adaptive weight, a running mean). Steps
    read them as ``nets["state"][name]`` and return new values, of the same shape and dtype, in
    ``Losses.state``. The fitted networks hold the last values as ``"state"``; if ``initial`` returns networks
    of an earlier program, their state continues."""
    name: str = "training"
    """Distinguishes the programs of one component."""
    paced: bool = True
    """Whether model selection chooses after which epoch to stop; ``epochs`` is then the setting that is
    ``Epochs``. False for preparatory stages, which are always trained to their end."""
    lift: bool = True
    """Whether several seeds may train as one program. False for a backbone, which fills the device by itself;
    the record of a run then says that its seeds were trained one by one."""
    key: Mapping[str, Any] | None = None
    """Every setting that the losses read, as plain data. The result is then stored and reused by any run
    whose program has the same key and content (data, seed, initial and frozen networks, optimisers, batches,
    noise). None: the result is not shared between runs."""


@dataclass(frozen=True)
class Derived:
    """Tensors computed from fitted networks without randomness, for example g of all training images; stored
    and reused like the networks of a program with a ``key``."""

    compute: Callable[[], Networks]
    """Returns the tensors, as networks; uses no random numbers."""
    source: Networks
    """The networks that it reads. The training images of the view need not be named."""
    key: Mapping[str, Any]
    """Every setting that the computation reads, as plain data."""
    name: str = "derived"
    """Distinguishes the parts of one component."""


Fit: TypeAlias = Networks | Program | Coroutine[Program | Derived, Networks, Networks]
"""What ``fit`` may return: fitted networks; a program that trains them; or, from a generator function,
programs and derived tensors one after the other. It is sent each one's networks and returns the networks to
keep.

A component with a setting that is ``Epochs`` has one paced program of that length, and it comes last; other
components have none. After any of its epochs ``embed``, ``sample``, ``transform`` and ``scores`` are called
with the networks that it trains and its ``frozen`` ones; those are also what ``fit`` keeps, or some of them,
unchanged. Anything else is a PluginError."""
