"""Region weights as pictures: which region lies where, and a map laid over an image."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float

from zslbench.data.regions.stored import StoredRegions
from zslbench.errors import ZslbenchError
from zslbench.plugin.dataset import RegionSource

OPACITY = 0.8
"""Share of a map's colour where it is strongest and laid over an image."""

PALENESS = 0.3
"""How far an image below a map is moved to white."""


def grid_of(source: RegionSource | None, regions: int) -> tuple[int, int]:
    """Rows and columns of the region grid: as recorded with the region features, else a square.

    Raises:
        ZslbenchError: the number of regions is no square and nothing says how they lie.
    """
    recorded = source.provenance.get("grid") if isinstance(source, StoredRegions) else None
    if recorded is not None and len(recorded) == 2 and recorded[0] * recorded[1] == regions:
        return int(recorded[0]), int(recorded[1])
    side = math.isqrt(regions)
    if side * side != regions:
        raise ZslbenchError(
            f"{regions} regions are no square grid, and their file does not say how they lie ('grid' of a "
            "region store's provenance, [rows, columns])"
        )
    return side, side


def as_map(values: Float[np.ndarray, " regions"], grid: tuple[int, int]) -> Float[np.ndarray, "rows columns"]:
    """Region values at their places (row-major), scaled so that the largest is 1; zero stays zero.

    A map that is nearly even so looks even: stretching it from its least value would invent structure.
    """
    top = values.max()
    return (values / top if top > 0 else values).reshape(grid)


def enlarged(
    values: Float[np.ndarray, "rows columns"], height: int, width: int
) -> Float[np.ndarray, "height width"]:
    """The map at this size, bilinear between the centres of its regions."""
    source = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    bigger = torch.nn.functional.interpolate(
        source, size=(height, width), mode="bilinear", align_corners=False
    )
    return np.asarray(bigger[0, 0])


def overlay(
    picture: Float[np.ndarray, "height width 3"],
    heat: Float[np.ndarray, "height width 3"],
    strength: Float[np.ndarray, "height width"],
) -> Float[np.ndarray, "height width 3"]:
    """The heat over the picture, the more opaque the stronger; where there is none the picture shows.

    The picture is grey and pale below it, so that none of its own colours reads as heat.
    """
    grey = picture @ np.array([0.299, 0.587, 0.114], dtype=picture.dtype)
    pale = (PALENESS + (1 - PALENESS) * grey)[:, :, None]
    opacity = OPACITY * strength[:, :, None]
    mixed: np.ndarray = (1 - opacity) * pale + opacity * heat
    return mixed
