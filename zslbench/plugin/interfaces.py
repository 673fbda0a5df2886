"""The five interfaces of zslbench. This is the one file that the author of a plugin reads.

How the parts fit, every value passing each stage once::

    images -> FeatureExtractor -> DatasetSource -> Embedding -> Generator -> Classifier -> evaluator (fixed)

Three ideas carry everything:

1. A component is its settings and, once fitted, its **networks**: named tensors, ``{net: {name: tensor}}``.
   It keeps no other state, so the core can store, hash, resume and stack fitted components.
2. ``fit`` gives the networks at once (closed form), or a :class:`Program`: training described as data.
   The core runs the program: it draws batches and noise, differentiates, updates, checkpoints, logs.
3. A component only ever sees a :class:`TrainView`, which holds no test image and no test label.

Shapes are written with jaxtyping: ``Float[Tensor, "n d"]`` is a float tensor of n rows and d columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator as Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.streams import Streams

__all__ = [
    "Attention",
    "Batch",
    "Choice",
    "ClassSpace",
    "Classifier",
    "DataRequest",
    "Dataset",
    "DatasetSource",
    "Derived",
    "Embedding",
    "FeatureExtractor",
    "Fit",
    "Generator",
    "Guide",
    "Losses",
    "Networks",
    "Noise",
    "NoiseSpec",
    "Normal",
    "Optimizer",
    "Program",
    "Rows",
    "Step",
    "Streams",
    "TrainView",
    "Uniform",
]

Networks: TypeAlias = dict[str, dict[str, Tensor]]
"""Fitted state: ``networks["critic"]["hidden.weight"]``. Tensors only; two levels only."""

Noise: TypeAlias = dict[str, Tensor]
"""Random tensors by name, each drawn by the core from its own stream."""


# --- what a component sees -----------------------------------------------------------------------


@dataclass(frozen=True)
class ClassSpace:
    """The classes of a task and what is said about them. Class ids index these rows."""

    names: tuple[str, ...]
    semantics: Float[Tensor, "classes attributes"]
    """Class descriptions a(c), one row per class, as the data set stores them."""
    seen: Int[Tensor, " seen"]
    """Ids of the classes that have training images."""
    unseen: Int[Tensor, " unseen"]
    """Ids of the classes that have none."""
    attribute_names: tuple[str, ...] | None = None
    attribute_vectors: Float[Tensor, "attributes words"] | None = None
    """Word vector of every attribute, where the data set has them."""


@runtime_checkable
class Rows(Protocol):
    """Features that are read by row: a tensor, or region features too large for memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Int[Tensor, " n"], /) -> Tensor: ...


@dataclass(frozen=True)
class Guide:
    """Frozen class scores of an embedding, differentiable in the features.

    A generator that uses one puts ``guide.networks`` into its program's ``frozen`` networks and calls
    ``guide.scores(nets, g)`` in its losses.
    """

    networks: Networks
    scores: Callable[[Networks, Float[Tensor, "n d"]], Float[Tensor, "n classes"]]


class Attention(NamedTuple):
    """Where an embedding looks in each image; for plots only."""

    maps: Float[Tensor, "n attributes regions"]
    """For each attribute its weight of every region; non-negative, the regions of a map sum to 1."""
    scores: Float[Tensor, "n attributes"]
    """How strongly each attribute is found; only their order matters."""
    overall: Float[Tensor, "n regions"]
    """How much each region counts for g; non-negative."""


@dataclass(frozen=True)
class TrainView:
    """Everything that a component is fitted on: training images and their labels, nothing of the test set."""

    features: Float[Tensor, "n d"]
    """Global features of the training images: the data set's for an embedding, the embedded g after it."""
    labels: Int[Tensor, " n"]
    """Class ids into the component's ``space``."""
    regions: Rows | None = None
    """Region features (n, regions, dv) of the same images; only for embeddings."""
    guide: Guide | None = None
    """The embedding's guide, where it offers one; only for generators."""


# --- training as data ----------------------------------------------------------------------------


class Batch(NamedTuple):
    """Training examples of one step."""

    features: Tensor
    """(b, d), or (b, regions, dv) where the program's features are regions."""
    labels: Int[Tensor, " b"]
    semantics: Float[Tensor, "b attributes"]
    """a(label) of each example."""


class Losses(NamedTuple):
    """What a step computes."""

    total: Float[Tensor, ""]
    """The loss whose gradient updates the step's networks."""
    log: dict[str, Tensor]
    """Scalars to record; the core keeps them on the device and averages them over the epoch."""
    state: Mapping[str, Tensor] | None = None
    """New values of entries of ``Program.state``; those left out stay as they are."""


@dataclass(frozen=True)
class Normal:
    """Standard normal noise, ``(b, *shape)``."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class Uniform:
    """Uniform noise on [0, 1), ``(b, *shape)``."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class Choice:
    """Entries of ``values``, drawn uniformly with replacement, (b,). For example unseen class ids."""

    values: Int[Tensor, " k"]


NoiseSpec: TypeAlias = Normal | Uniform | Choice


@dataclass(frozen=True)
class Step:
    """One update: a plain function of (networks, batch, noise).

    ``losses`` must be pure: no ``.item()``, no ``if`` on a tensor's value, no randomness of its own, no
    in-place change; derivatives inside it by ``torch.func.grad`` or in closed form. Write it with the layers
    and losses of :mod:`zslbench.training` where one fits. Tensors that depend on the seed, such as trained
    networks, are read from ``nets``: put them into the program's ``frozen``. Then the core can batch the same
    function over seeds and capture it in a CUDA graph.
    """

    name: str
    losses: Callable[[Networks, Batch, Noise], Losses]
    updates: tuple[str, ...]
    """The networks that this step's gradient updates; the others are constants to it."""
    noise: Mapping[str, NoiseSpec] = field(default_factory=dict)
    """Every noise term by name; leave a switched-off term out, it then draws nothing."""
    fresh_batch: bool = True
    """False: reuse the batch of the step before (must not be the first step of a pass)."""


@dataclass(frozen=True)
class Optimizer:
    """Which optimiser updates a network; the rules are torch.optim's."""

    kind: Literal["adam", "rmsprop", "sgd"] = "adam"
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.0
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Program:
    """Training described as data. One epoch runs each pass over the data in turn.

    A pass is a sequence of steps that repeats ceil(n / batch_size) times, so five critic steps and one
    generator step are ``(critic,) * 5 + (generator,)``.
    """

    initial: Callable[[Streams], Networks]
    """Networks before training; random values only from the streams given."""
    passes: tuple[tuple[Step, ...], ...]
    optimizers: Mapping[str, Optimizer]
    """One for every network that any step updates."""
    features: Rows
    labels: Int[Tensor, " n"]
    epochs: int
    batch_size: int
    sampler: Literal["independent", "shuffled", "balanced"] = "independent"
    """``independent``: every batch is a fresh draw without replacement; ``shuffled``: batches walk
    through permutations of the data, one wrapping into the next; ``balanced``: a fresh draw with as
    nearly as possible the same number of images of each class, see
    :class:`zslbench.training.sampler.Sampler`."""
    iterations: int | None = None
    """Batches per pass and epoch; None: ceil(n / batch_size)."""
    frozen: Networks = field(default_factory=dict)
    """Networks that the steps read and nothing changes (a guide)."""
    state: Mapping[str, Tensor] = field(default_factory=dict)
    """Initial values of tensors that change but are not trained (an adaptive weight, a running mean). Steps
    read them as ``nets["state"][name]`` and return new values, of the same shape and dtype, in
    ``Losses.state``. The fitted networks contain the last values as ``"state"``; where ``initial`` returns
    networks of an earlier program, their state goes on."""
    name: str = "training"
    """Tells the programs of one component apart."""
    paced: bool = True
    """Whether ``epochs`` is the length that model selection chooses; False for preparatory stages."""
    key: Mapping[str, Any] | None = None
    """Every setting that the losses read, as plain data: the result is then kept and found again by any run
    whose program has the same key and otherwise the same content (data, seed, initial and frozen networks,
    optimisers, batches, noise). None: the result is not shared between runs."""


@dataclass(frozen=True)
class Derived:
    """Tensors that follow from fitted networks by computation alone, as g of all training images.

    They are computed once, kept, and found again like the networks of a program with a ``key``.
    """

    compute: Callable[[], Networks]
    """Gives the tensors, as networks; takes no random numbers."""
    source: Networks
    """The networks that they follow from."""
    key: Mapping[str, Any]
    """Every setting that the computation reads, as plain data."""
    name: str = "derived"
    """Tells the parts of one component apart."""


Fit: TypeAlias = Networks | Program | Coroutine[Program | Derived, Networks, Networks]
"""What ``fit`` may give: fitted networks, a program that yields them, or a generator function that
yields programs (and derived tensors) one after the other, is sent each one's networks, and returns the
networks to keep."""


# --- the five interfaces -------------------------------------------------------------------------


class DatasetSource(ABC):
    """Kind ``dataset``: finds and reads a data set. The core validates what it returns."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def load(self, request: DataRequest) -> Dataset:
        """Read the data set.

        Raises:
            MissingData: a file is not there; says which, and the command or link that gets it.
            DataError: a file cannot be read; names it and lists all faults.
        """


class FeatureExtractor(ABC):
    """Kind ``extractor``: images to region features, with a frozen backbone.

    Its constructor reads the weights; where they are not here, it raises MissingData that says what to bring.
    """

    image_size: int
    """Height and width that images are resized and cropped to, in pixels; of the class or of an instance."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """The filter that images are resized with."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def extract(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b regions dv"]:
        """Region features of RGB images with values in [0, 1], on their device; normalises them as its
        backbone does."""

    def describe(self) -> Mapping[str, Any]:
        """What a store of its features says of it, as plain data without paths of this machine.

        ``name`` (of the backbone), ``grid`` (regions along height and width), ``weights_sha256``,
        ``normalisation`` and anything else that the values depend on.
        """
        return {}


class Embedding(ABC):
    """Kind ``embedding``: a data set's features to the visual features g that later stages work on."""

    inputs: ClassVar[Literal["features", "regions"]] = "features"
    """What ``embed`` reads: global features (n, d0) or region features (n, regions, dv)."""

    def __init__(self, settings: Any, space: ClassSpace) -> None:
        self.settings = settings
        self.space = space

    @abstractmethod
    def fit(self, view: TrainView) -> Fit:
        """Fit on training images."""

    @abstractmethod
    def embed(self, nets: Networks, inputs: Tensor) -> Float[Tensor, "n d"]:
        """Visual features of any images, row by row (a row's result depends on that row only)."""

    def guide(self, nets: Networks) -> Guide | None:
        """Class scores over all classes of the space, for generators that take a guide; None: no guide."""
        return None

    def attention(self, nets: Networks, inputs: Tensor) -> Attention | None:
        """Where it looks in each image, for plots; None: it has no attention."""
        return None


class Generator(ABC):
    """Kind ``generator``: class semantics to synthetic visual features."""

    def __init__(self, settings: Any, space: ClassSpace) -> None:
        self.settings = settings
        self.space = space

    @property
    @abstractmethod
    def per_class(self) -> int:
        """How many features are synthesised for each unseen class."""

    @property
    @abstractmethod
    def sample_noise(self) -> Mapping[str, NoiseSpec]:
        """The noise that ``sample`` takes."""

    @abstractmethod
    def fit(self, view: TrainView) -> Fit:
        """Fit on embedded training images and their labels."""

    @abstractmethod
    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n d"]:
        """One synthetic feature for each row of class semantics."""

    def transform(self, nets: Networks, g: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
        """What the classifier sees of a feature; applied alike to real, synthetic and test features."""
        return g


class Classifier(ABC):
    """Kind ``classifier``: features to scores over every class of its space."""

    needs_examples: ClassVar[bool]
    """True: it can only score classes that it has examples of, so it needs a generator. It is then fitted
    twice, on real seen and synthetic unseen features over all classes (f_gzsl), and on synthetic
    unseen features in the space of the unseen classes alone (f_czsl). False: it scores from semantics
    and is fitted once."""

    def __init__(self, settings: Any, space: ClassSpace) -> None:
        self.settings = settings
        self.space = space

    @abstractmethod
    def fit(self, view: TrainView) -> Fit:
        """Fit on labelled features."""

    @abstractmethod
    def scores(self, nets: Networks, features: Float[Tensor, "n e"]) -> Float[Tensor, "n classes"]:
        """A score for each class of the space; the highest wins. Any scale, but comparable across classes."""
