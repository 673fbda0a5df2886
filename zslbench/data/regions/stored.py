"""What region files have in common, whichever layout they have on the disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from zslbench.data.regions.mapped import MappedRows
from zslbench.data.regions.values import as_float32, scaled_digest
from zslbench.plugin.dataset import Indices

PARTS = ("trainval", "test_seen", "test_unseen")
BLOCK_BYTES = 1 << 26
"""Bytes of stored regions that are read or written at once."""


class StoredRegions(ABC):
    """Region features on the disk; a :class:`~zslbench.plugin.dataset.RegionSource`.

    Args:
        path: the file or folder that a user knows.
        rows: its regions, (images, regions, channels).
        scale: what uint8 values are multiplied with.
        companions: small arrays that came with them: ``att`` and ``original_att`` (C, A),
            ``attribute_vectors`` (A, words), and rows of the split's parts (0-based).
        provenance: where values come from: ``source``, ``backbone``, ``grid``, ``simulated``, ``settings``.
    """

    def __init__(
        self,
        path: Path,
        rows: MappedRows,
        scale: float | None,
        companions: Mapping[str, np.ndarray],
        provenance: Mapping[str, Any],
    ) -> None:
        self.path, self.scale = path, scale
        self.companions, self.provenance = companions, provenance
        self._rows = rows

    @property
    def name(self) -> str:
        """What ``--regions`` may call it: the name of the file or folder without its ending."""
        return self.path.stem if self.path.suffix in (".h5", ".hdf5") else self.path.name

    @property
    def shape(self) -> tuple[int, int, int]:
        """(images, regions, channels)."""
        regions, channels = self._rows.row
        return len(self._rows), regions, channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that values are stored in."""
        return self._rows.dtype

    @property
    def simulated(self) -> bool:
        """Whether the values come from no real image."""
        return bool(self.provenance.get("simulated", False))

    def __getitem__(self, rows: Indices) -> Float[np.ndarray, "n regions dv"]:
        """The regions of these images, float32, in the order asked for."""
        return as_float32(self.raw(rows), self.scale)

    def raw(
        self, rows: Indices, out: Shaped[np.ndarray, "n regions dv"] | None = None
    ) -> Shaped[np.ndarray, "n regions dv"]:
        """The same as stored: without conversion, not yet multiplied with ``scale``.

        Args:
            out: where to put them; None: a new array.
        """
        if out is None:
            out = np.empty((len(rows), *self.shape[1:]), dtype=self.dtype)
        self._rows.gather(np.asarray(rows), out)
        return out

    def blocks(self) -> Iterator[Shaped[np.ndarray, "n regions dv"]]:
        """All regions as stored, in order, a bounded number at a time."""
        images, regions, channels = self.shape
        size = max(1, BLOCK_BYTES // (regions * channels * self.dtype.itemsize))
        for start in range(0, images, size):
            yield self.raw(np.arange(start, min(start + size, images)))

    @property
    @abstractmethod
    def array_sha256(self) -> str:
        """sha256 of the stored array, as :func:`zslbench.data.provenance.array_sha256` computes it."""

    @property
    def sha256(self) -> str:
        """sha256 of the values: that of the stored array together with its scale."""
        return scaled_digest(self.array_sha256, self.scale)

    @property
    @abstractmethod
    def features(self) -> Float[np.ndarray, "images dv"]:
        """The mean over regions."""

    @property
    @abstractmethod
    def labels(self) -> Int[np.ndarray, " images"]:
        """Class id of every image, 0-based, int64."""

    @property
    @abstractmethod
    def image_files(self) -> tuple[str, ...] | None:
        """File name of every image; None: they did not come with the features."""

    def describe(self) -> dict[str, Any]:
        """What a run's record says of it, as plain data."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype.name,
            "scale": self.scale,
            "sha256": self.sha256,
            "simulated": self.simulated,
            **{
                key: self.provenance[key]
                for key in ("source", "backbone", "grid", "finetuned")
                if key in self.provenance
            },
        }
