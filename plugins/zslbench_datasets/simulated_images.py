"""How the images of the simulated data sets of true size are drawn.

An image is a g x g grid of regions r, each a vector of d channels. Attribute a has a visual prototype m_a:
one linear map M of its word vector v_a and a little noise, about unit variance per channel::

    m_a = 0.9 sqrt(d) v_a M / |v_a M| + 0.4 n_a             M (words, d) and n_a standard normal

Image i of class y shows attribute a with probability p q_ya, where q in [0, 1] is how strongly the class has
it (p: ``visibility``). Each shown attribute covers a square of side max(1, round(g / 5)) with a uniform
corner, with amount a_ia = (0.5 + 0.5 q_ya) u, u uniform on [0.7, 1.3]. ``JUNK`` nuisance patches are placed
in the same way, each one of ``KINDS`` prototypes c_k (standard normal) chosen uniformly, whatever the class,
with amount
b = ``clutter`` u. Noise e is standard normal::

    x_ir = max(0, sum_a a_ia [r in square_ia] m_a + sum_j b_ij [r in square_ij] c_kij + ``noise`` e_ir)

Six billion normal numbers would take most of the time. So e is the sum of two windows, at random offsets, of
one long row of normal numbers of variance 1/2: the values of one window are independent, and two images share
some only where their windows overlap.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from zslbench_datasets.settings import SimulatedSettings

KINDS, JUNK = 64, 4
_ROW = 1 << 22
"""Normal numbers in the long row, beyond those of one image."""
_BLOCK = 1 << 25
"""Bytes of float32 regions that are drawn at a time."""


class Images:
    """Draws the images one after another; results are bit-identical for the same settings and classes."""

    def __init__(
        self,
        settings: SimulatedSettings,
        strength: Float[np.ndarray, "classes attributes"],
        vectors: Float[np.ndarray, "attributes words"],
    ) -> None:
        self._s, self._strength = settings, strength
        looks, self._random = (np.random.default_rng([settings.seed, part]) for part in (2, 3))
        grid, channels = settings.grid, settings.channels
        directions = vectors.astype(np.float64) @ looks.normal(size=(vectors.shape[1], channels))
        length = np.linalg.norm(directions, axis=1, keepdims=True)
        directions *= 0.9 * np.sqrt(channels) / np.where(length > 0, length, 1)
        directions += 0.4 * looks.normal(size=directions.shape)
        self._attributes = directions.astype(np.float32)
        self._junk = looks.standard_normal((KINDS, channels), dtype=np.float32)
        self._window = grid * grid * channels
        self._row = looks.standard_normal(_ROW + self._window, dtype=np.float32)
        self._row *= np.float32(settings.noise * np.sqrt(0.5))
        self._side = max(1, round(grid / 5))

    def blocks(self, labels: Int[np.ndarray, " images"]) -> Iterator[Float[np.ndarray, "n regions channels"]]:
        """Regions of images of these classes, float32, a few at a time; the next overwrite them."""
        size = max(1, _BLOCK // (4 * self._window))
        grid, channels = self._s.grid, self._s.channels
        block = np.empty((size, grid, grid, channels), dtype=np.float32)
        for start in range(0, len(labels), size):
            part = labels[start : start + size]
            self._draw(part, block[: len(part)])
            yield block[: len(part)].reshape(len(part), grid * grid, channels)

    def _draw(self, labels: np.ndarray, out: np.ndarray) -> None:
        s, random, count = self._s, self._random, len(labels)
        strength = self._strength[labels]
        shown = random.random(strength.shape) < s.visibility * strength
        amounts = (0.5 + 0.5 * strength) * random.uniform(0.7, 1.3, strength.shape)
        corners = random.integers(s.grid - self._side + 1, size=(*strength.shape, 2))
        kinds = random.integers(KINDS, size=(count, JUNK))
        weights = s.clutter * random.uniform(0.7, 1.3, (count, JUNK))
        junk_corners = random.integers(s.grid - self._side + 1, size=(count, JUNK, 2))
        offsets = random.integers(_ROW, size=(count, 2))
        for i in range(count):
            first, second = offsets[i].tolist()
            flat = out[i].reshape(-1)
            window = self._row[second : second + self._window]
            np.add(self._row[first : first + self._window], window, out=flat)
            for a in np.flatnonzero(shown[i]).tolist():
                self._put(out[i], corners[i, a].tolist(), amounts[i, a], self._attributes[a])
            for j in range(JUNK):
                self._put(out[i], junk_corners[i, j].tolist(), weights[i, j], self._junk[kinds[i, j]])
            np.maximum(flat, 0, out=flat)

    def _put(self, image: np.ndarray, corner: list[int], amount: float, prototype: np.ndarray) -> None:
        top, left = corner
        image[top : top + self._side, left : left + self._side] += np.float32(amount) * prototype
