"""What a component is given: classes, training images, the networks of the components before it.

Shapes are written with jaxtyping: ``Float[Tensor, "n d"]`` is a float tensor of n rows and d columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

Networks: TypeAlias = dict[str, dict[str, Tensor]]
"""Fitted state: ``networks["critic"]["hidden.weight"]``. Two levels, tensors only."""

Noise: TypeAlias = dict[str, Tensor]
"""Random tensors by name, each drawn by the core from its own stream."""


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
