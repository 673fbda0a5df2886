"""A data set in memory: arrays, names and splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

Indices = Int[np.ndarray, " _"]


@runtime_checkable
class RegionSource(Protocol):
    """Region features, or pictures, that are read by row and never loaded whole. In pictures each pixel is a
    region: (images, height · width, 3), RGB in whole numbers from 0 to 255, row by row."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(images, regions, channels)."""
        ...

    def __getitem__(self, rows: Indices) -> Float[np.ndarray, "n regions dv"]:
        """The regions of these images, float32, in the order of ``rows``."""
        ...


@dataclass(frozen=True)
class DataRequest:
    """Which of a data set's files to read."""

    name: str
    """The data set's name, as typed by the user."""
    root: Path
    """Folder with one folder per data set (``--data-root``, ``ZSLBENCH_DATA``)."""
    features: str | None = None
    """Stem of the features file (``--features``); None: the data set's own default."""
    semantics: str | None = None
    """Class semantics of the data set's own: ``att``, ``original_att`` or ``sentence``; None: ``att``. The
    core itself reads files of class vectors and named class semantics."""
    needs_regions: bool = False
    """Whether the run reads region features; otherwise a data set need not look for them."""
    regions: str | None = None
    """Region features (``--regions``): a name in the data set's folder, or a path; None: those found."""
    images: str | None = None
    """Folder of the data set's pictures (``--images``); None: the data set's own."""
    image_size: int | None = None
    """Height and width of the pictures that the run reads, as ``Dataset.regions``; None: it reads none."""

    @property
    def wants_regions(self) -> bool:
        """Whether region features are read: needed, named, or with ``mean`` (``<name> mean``) as features."""
        means = self.features is not None and f" {self.features}".endswith(" mean")
        return self.needs_regions or self.regions is not None or means


@dataclass(frozen=True)
class OfficialSplit:
    """Row indices of the proposed split, 0-based, in file order (Xian et al. 2018).

    ``validation_classes`` are the official validation classes (a subset of the seen ones), or None
    where the data set has none.
    """

    trainval: Indices
    test_seen: Indices
    test_unseen: Indices
    validation_classes: Indices | None = None

    @property
    def parts(self) -> dict[str, Indices]:
        """The rows of each part by its name."""
        return {"trainval": self.trainval, "test_seen": self.test_seen, "test_unseen": self.test_unseen}


@dataclass(frozen=True)
class Candidates:
    """The unseen classes that are scored: those that test images can be assigned to."""

    name: str
    """``test``, ``all``, or the name of a file; a label only."""
    classes: Indices
    """Their ids; in a loaded data set ascending, each once."""


@dataclass(frozen=True)
class Source:
    """An array that a run's numbers depend on: where it was read and the sha256 of its bytes."""

    array: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """Images as features, class semantics and splits.

    Class ids are 0-based and index ``class_names`` and the rows of ``semantics``.
    """

    name: str
    features: Float[np.ndarray, "images d"]
    """Global visual features, float32."""
    labels: Int[np.ndarray, " images"]
    """Class id of every image, int64."""
    class_names: tuple[str, ...]
    semantics: Float[np.ndarray, "classes attributes"]
    """Class semantics as stored (xlsa17 ``att`` transposed), float32."""
    split: OfficialSplit
    features_name: str
    """Name of the features, for example ``res101``."""
    semantics_name: str
    """Name of the semantics: ``att``, ``original_att``, ``sentence``, or of a file of class vectors."""
    attribute_names: tuple[str, ...] | None = None
    attribute_vectors: Float[np.ndarray, "attributes words"] | None = None
    regions: RegionSource | None = None
    """Region features, or the pictures where the request has an ``image_size``."""
    image_files: tuple[str, ...] | None = None
    candidates: Candidates | None = None
    """None: the classes of the test_unseen images. ``--candidates`` overrides this."""
    finetuned: bool | None = None
    """Whether the backbone was fine-tuned on this data set; None: unknown."""
    sources: tuple[Source, ...] = ()
    """Where each array came from; recorded with every run."""
    notes: tuple[str, ...] = ()
    """What the reader repaired or found unusual; shown once and recorded with every run."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Anything else to record (licence, citation); JSON-serialisable."""
