"""Writes region features in the HDF5 layout of DAZLE and SC-EGG (see :mod:`zslbench.data.regions.hdf5`).

``feature_map`` is float32 in one piece, as their code reads it; images are written a block at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Int

from zslbench.data import BLOCK_BYTES, PARTS
from zslbench.errors import DataError
from zslbench.plugin import OfficialSplit, RegionSource
from zslbench_data.exporting.aside import aside


def write_hdf5(
    path: Path,
    regions: RegionSource,
    *,
    labels: Int[np.ndarray, " images"],
    split: OfficialSplit,
    att: Float[np.ndarray, "classes attributes"],
    original_att: Float[np.ndarray, "classes attributes"] | None = None,
    attribute_vectors: Float[np.ndarray, "attributes words"] | None = None,
    image_files: Sequence[str] | None = None,
    provenance: Mapping[str, Any] | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the file, whole or not at all.

    Args:
        provenance: of the regions: ``grid``, ``backbone``, ``simulated``.
        advance: told the bytes of every block that was written.

    Raises:
        DataError: it cannot be written, or the grid does not have as many places as there are regions.
    """
    known = provenance or {}
    images, count, channels = regions.shape
    height, width = grid(count, known.get("grid"), path)
    row = count * channels * 4
    size = max(1, BLOCK_BYTES // row)
    with aside(path) as part, h5py.File(part, "x") as file:
        features = file.create_dataset("feature_map", (images, channels, height, width), dtype="<f4")
        for name in ("backbone", "simulated"):
            if known.get(name):
                features.attrs[name] = known[name]
        for start in range(0, images, size):
            stop = min(start + size, images)
            block = regions[np.arange(start, stop)]
            features[start:stop] = block.swapaxes(1, 2).reshape(stop - start, channels, height, width)
            advance((stop - start) * row)
        file["labels"] = labels
        for name in PARTS:
            file[f"{name}_loc"] = getattr(split, name)
        file["att"] = att
        if original_att is not None:
            file["original_att"] = original_att
        if attribute_vectors is not None:
            file["w2v_att"] = attribute_vectors
        if image_files is not None:
            file.create_dataset("image_files", data=list(image_files), dtype=h5py.string_dtype())


def grid(regions: int, given: Sequence[int] | None, where: object) -> tuple[int, int]:
    """Height and width of the map: as given, else a square, else one row.

    Raises:
        DataError: the given grid has another number of places.
    """
    if given is not None:
        height, width = (int(one) for one in given)
        if height * width != regions:
            raise DataError(where, [f"a grid of {height} x {width} has no {regions} regions"])
        return height, width
    side = math.isqrt(regions)
    return (side, side) if side * side == regions else (1, regions)
