"""Region features held in memory."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from zslbench.plugin.dataset import Indices


class ArrayRegions:
    """Region features held in memory; a :class:`~zslbench.plugin.dataset.RegionSource`.

    Args:
        array: (images, regions, dv), float32.
    """

    def __init__(self, array: Float[np.ndarray, "images regions dv"]) -> None:
        self.array = array

    @property
    def shape(self) -> tuple[int, int, int]:
        """(images, regions, channels)."""
        images, regions, channels = self.array.shape
        return images, regions, channels

    def __getitem__(self, rows: Indices) -> Float[np.ndarray, "n regions dv"]:
        """A float32 copy of these images' regions, in the order asked for."""
        return np.asarray(self.array[rows], dtype=np.float32)
