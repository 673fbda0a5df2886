"""The five interfaces of zslbench: the one file that the author of a plugin must read.

A value passes each stage once::

    images -> FeatureExtractor -> DatasetSource -> Embedding -> Generator -> Classifier -> evaluator (fixed)

Four ideas carry the rest:

1. A component is its settings and, once fitted, its **networks**: named tensors, ``{net: {name: tensor}}``.
   It has no other state, so the core can store, hash, resume and stack fitted components.
2. ``fit`` returns the networks (a closed form) or a :class:`Program`: training described as data, which the
   core runs. It draws batches and noise, differentiates, updates, checkpoints and logs.
3. A component sees only a :class:`TrainView`, which holds no test image and no test label.
4. It may use the components before it and their networks; it returns what it needs of them with its own.

Shapes are written with jaxtyping: ``Float[Tensor, "n d"]`` is a float tensor of n rows and d columns.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator as Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.streams import Streams

Networks: TypeAlias = dict[str, dict[str, Tensor]]
"""Fitted state: ``networks["critic"]["hidden.weight"]``. Two levels, tensors only."""

Noise: TypeAlias = dict[str, Tensor]
"""Random tensors by name, each drawn by the core from its own stream."""


# --- what a component sees -----------------------------------------------------------------------


@dataclass(frozen=True)
class ClassSpace:
    """The classes of a task and their semantics. Class ids index these rows."""

    names: tuple[str, ...]
    semantics: Float[Tensor, "classes attributes"]
    """Class semantics a(c), as the data set stores them."""
    seen: Int[Tensor, " seen"]
    """Ids of the classes that have training images."""
    unseen: Int[Tensor, " unseen"]
    """Ids of the classes that have no training images."""
    attribute_names: tuple[str, ...] | None = None
    attribute_vectors: Float[Tensor, "attributes words"] | None = None
    """Word vector of every attribute, if the data set has them."""


@runtime_checkable
class Rows(Protocol):
    """Features read by row: a tensor, or region features too large for memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Int[Tensor, " n"], /) -> Tensor: ...


@dataclass(frozen=True)
class Guide:
    """Frozen class scores of an embedding, differentiable in the features. A generator that uses one puts
    ``networks`` into its program's ``frozen`` networks and calls ``scores(nets, g)`` in its losses."""

    networks: Networks
    scores: Callable[[Networks, Float[Tensor, "n d"]], Float[Tensor, "n classes"]]


class Attention(NamedTuple):
    """Where an embedding looks in each image; for plots only."""

    maps: Float[Tensor, "n attributes regions"]
    """Each attribute's weight for every region: non-negative, each map sums to 1."""
    scores: Float[Tensor, "n attributes"]
    """How strongly each attribute is present; only their order matters."""
    overall: Float[Tensor, "n regions"]
    """Each region's weight for g; non-negative."""


@dataclass(frozen=True)
class Transductive:
    """What a component knows about the fold's held-out images: only what the reading in use declares
    (:class:`zslbench.plugin.Reading`). In validation these are the validation fold's images."""

    features: Float[Tensor, "m d"] | None = None
    """Under ``"test features"``: the held-out images of seen and unseen classes, in random order and without
    labels. A generator gets their g, a classifier what it scores (f_czsl only those of unseen classes)."""
    class_prior: Float[Tensor, " unseen"] | None = None
    """Under ``"test class prior"``: each unseen class's share of the held-out images of unseen classes, in
    the order of ``space.unseen``."""


@dataclass(frozen=True)
class TrainView:
    """What a component is fitted on: training images and their labels, and nothing of the test set unless the
    reading in use declares it (``test``)."""

    features: Float[Tensor, "n d"]
    """Global features of the training images: the data set's for an embedding, g for later components."""
    labels: Int[Tensor, " n"]
    """Class ids into the component's ``space``."""
    regions: Rows | None = None
    """Region features (n, regions, dv) of the same images; only for embeddings."""
    images: Rows | None = None
    """Pictures (n, 3, size, size) of the same images, uint8 RGB; only for embeddings that read them."""
    guide: Guide | None = None
    """The embedding's guide, if it offers one; only for generators."""
    test: Transductive | None = None
    """Knowledge of held-out images; only for generators and classifiers, under a reading that declares it.
    Tensors of it that losses read go into the program's ``frozen`` networks."""
    networks: Mapping[str, Networks] = field(default_factory=dict)
    """Fitted networks of the components before this one, by kind: ``embedding``, and for classifiers
    ``generator``. Never change them. Those that steps read go into the program's ``frozen``; those that
    ``sample``, ``transform`` or ``scores`` read are also among the networks that ``fit`` returns."""
    task: Literal["gzsl", "czsl"] = "gzsl"
    """Which classifier is being fitted: over all classes, or over the unseen ones; only for classifiers."""


# --- training as data ----------------------------------------------------------------------------


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


# --- the five interfaces -------------------------------------------------------------------------


class DatasetSource(ABC):
    """Kind ``dataset``: finds and reads a data set. The core validates what it returns."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def load(self, request: DataRequest) -> Dataset:
        """Read the data set. Raise MissingData, with the command or link that gets it, for a missing file and
        DataError, with all faults, for one that cannot be used."""


class FeatureExtractor(ABC):
    """Kind ``extractor``: images to region features, with a frozen backbone.

    Its constructor reads the weights; if they are missing, it raises MissingData that says how to get them.
    """

    image_size: int
    """Height and width, in pixels, that images are resized and cropped to."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """The filter used to resize images."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def extract(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b regions dv"]:
        """Region features of RGB images with values in [0, 1], on the images' device. Normalising for the
        backbone is up to the extractor."""

    def describe(self) -> Mapping[str, Any]:
        """What to record with the features, as plain data without paths of this machine: ``name`` (of the
        backbone), ``grid`` (regions along height and width), ``weights_sha256``, ``normalisation`` and
        anything else that the values depend on."""
        return {}


class _Fitted(ABC):
    """A component that is fitted: settings and class space, no other state."""

    def __init__(self, settings: Any, space: ClassSpace) -> None:
        self.settings = settings
        self.space = space

    @abstractmethod
    def fit(self, view: TrainView) -> Fit:
        """Fit on labelled training images: an embedding on the data set's features, the others on g."""


class Embedding(_Fitted):
    """Kind ``embedding``: a data set's features or pictures to the visual features g of the later stages."""

    inputs: ClassVar[Literal["features", "regions", "images"]] = "features"
    """What ``embed`` reads: global features (n, d0), region features (n, regions, dv), or pictures
    (n, 3, size, size), uint8 RGB. Runs on pictures are marked as fine-tuned and not ranked with others."""

    @classmethod
    def image_size(cls, settings: Any) -> int:
        """Height and width of the pictures that it reads: each image's middle square, scaled to this size.
        Crops are cut from them in ``embed`` and in the steps."""
        return 256

    @abstractmethod
    def embed(self, nets: Networks, inputs: Tensor) -> Float[Tensor, "n d"]:
        """Visual features of any images; a row's result depends on that row only."""

    def guide(self, nets: Networks) -> Guide | None:
        """Class scores over all classes of the space, for generators that use a guide; None: no guide."""
        return None

    def attention(self, nets: Networks, inputs: Tensor) -> Attention | None:
        """Where it looks in each image, for plots; None: no attention."""
        return None


class Generator(_Fitted):
    """Kind ``generator``: class semantics to synthetic visual features, and what the classifier sees.

    The classifier is trained on real features of seen classes, ``transform(g)``, and synthetic ones of unseen
    classes, ``transform(sample(a))``, or ``sample(a)`` where that returns inputs.
    """

    samples: ClassVar[Literal["features", "inputs"]] = "features"
    """What ``sample`` returns: features g, which ``transform`` turns into inputs of the classifier, or such
    inputs (latent codes of semantics, where ``transform`` encodes images)."""
    embedding: Embedding | None = None
    """The embedding before it, set by the core; its networks are ``view.networks["embedding"]``."""

    # --- unseen classes ----------------------------------------------------------------------------

    @property
    @abstractmethod
    def per_class(self) -> int:
        """Number of features to synthesise for each unseen class."""

    @property
    def czsl_per_class(self) -> int:
        """The same for the CZSL classifier. Where it equals ``per_class``, both see the same features."""
        return self.per_class

    @property
    @abstractmethod
    def sample_noise(self) -> Mapping[str, NoiseSpec]:
        """The noise that ``sample`` reads."""

    @abstractmethod
    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n d"]:
        """One synthetic feature (or input, see ``samples``) for each row of class semantics."""

    # --- real and test images ----------------------------------------------------------------------

    @property
    def real_per_class(self) -> int | None:
        """Real features per seen class: its first images, repeated where there are fewer. None: each training
        image once."""
        return None

    @property
    def transform_noise(self) -> Mapping[str, NoiseSpec]:
        """The noise that ``transform`` reads for training features, for example of a reparameterisation."""
        return {}

    @property
    def redraws(self) -> bool:
        """Whether the inputs of real training features are drawn anew in every epoch of the classifier."""
        return False

    @property
    def draws_at_test(self) -> bool:
        """Whether ``transform`` gets noise for test images too; an image's draw depends on the run's seed and
        the image only."""
        return False

    def transform(self, nets: Networks, g: Float[Tensor, "n d"], noise: Noise) -> Float[Tensor, "n e"]:
        """The classifier's inputs for features, row by row.

        ``noise`` has the terms of ``transform_noise`` or, as a rule for test images, none: it then returns
        the mean.
        """
        return g

    def encode(
        self, nets: Networks, g: Float[Tensor, "n d"], semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Noise | None:
        """The noise for which ``sample`` gives back g, drawn from an encoder's posterior; None: no encoder.

        With the semantics of another class, ``sample`` then makes a counterfactual of the image.

        Args:
            semantics: of the class to be sampled; an encoder that reads features alone ignores them.
            noise: the terms of ``sample_noise``, standard; none: the posterior's mean.
        """
        return None


class Classifier(_Fitted):
    """Kind ``classifier``: features to scores over every class of its space."""

    needs_examples: ClassVar[bool]
    """True: it scores only classes that it has examples of, so it needs a generator and is fitted twice: on
    real seen and synthetic unseen features over all classes (f_gzsl), and on synthetic unseen features in the
    space of the unseen classes (f_czsl). False: it scores from the semantics of its space and is fitted once;
    its networks do not hold the classes, so that ``zslbench predict`` can score others."""
    reads: ClassVar[Literal["inputs", "features"]] = "inputs"
    """What it is fitted on and scores: the generator's inputs, or real and synthetic features g before
    ``transform``."""
    embedding: Embedding | None = None
    """The embedding, set by the core; its networks are ``view.networks["embedding"]``."""
    generator: Generator | None = None
    """The generator, set by the core, None where there is none; its networks are
    ``view.networks["generator"]``. Its space has all classes, in f_czsl too."""

    @abstractmethod
    def scores(self, nets: Networks, features: Float[Tensor, "n e"]) -> Float[Tensor, "n classes"]:
        """A score for each class of the space; the highest wins. Any scale, comparable across classes."""
