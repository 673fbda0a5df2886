"""How region values are stored, and how they are turned into float32 and back."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from zslbench.errors import DataError

STORED: dict[str, np.dtype[Any]] = {
    "float16": np.dtype("<f2"),
    "float32": np.dtype("<f4"),
    "uint8": np.dtype("u1"),
}
"""Types that region features are stored in, by name. uint8 has a scale: value = integer times scale."""


def stored_type(dtype: Any, scale: float | None, where: object) -> np.dtype[Any]:
    """The stored type that is meant.

    Raises:
        DataError: it is none of :data:`STORED`, or the scale is not a positive number of uint8.
    """
    name = str(np.dtype(dtype).name)
    if name not in STORED:
        raise DataError(where, [f"regions of type {name}; stored types are {', '.join(STORED)}"])
    if scale is not None and (name != "uint8" or not np.isfinite(scale) or scale <= 0):
        raise DataError(where, [f"scale {scale} of {name}: only uint8 has one, a number above 0"])
    return STORED[name]


def as_float32(stored: Shaped[np.ndarray, "*shape"], scale: float | None) -> Float[np.ndarray, "*shape"]:
    """The values that are meant: float32, times ``scale`` (rounded to float32).

    PyTorch converts half precision several times as fast as NumPy; the results are the same.
    """
    import torch

    if stored.dtype == np.float32:
        return stored
    out = np.empty(stored.shape, dtype=np.float32)
    values = torch.from_numpy(out).copy_(torch.from_numpy(np.ascontiguousarray(stored)))
    if scale is not None:
        values.mul_(float(np.float32(scale)))
    return out


def as_stored(
    values: Shaped[np.ndarray, "*shape"], dtype: np.dtype[Any], scale: float | None
) -> Shaped[np.ndarray, "*shape"]:
    """What is written for ``values``: themselves where they have the type, else converted.

    Floats become uint8 as the nearest integer to value / scale within 0 to 255.
    """
    import torch

    if values.dtype == dtype:
        return np.ascontiguousarray(values)
    if dtype == np.uint8:
        return np.clip(np.rint(values / (1.0 if scale is None else scale)), 0, 255).astype(np.uint8)
    if values.dtype == np.float32 and dtype == np.float16:
        converted: np.ndarray = torch.from_numpy(np.ascontiguousarray(values)).to(torch.float16).numpy()
        return converted
    with np.errstate(over="ignore"):  # what does not fit becomes infinite and is reported as such
        return np.ascontiguousarray(values, dtype=dtype)


def pooled(regions: Float[np.ndarray, "n regions dv"]) -> Float[np.ndarray, "n dv"]:
    """The mean over regions, summed region by region: the same bits on every machine."""
    means: np.ndarray = regions.mean(axis=1, dtype=np.float32)
    return means


class Digest:
    """The sha256 of an array that comes in pieces; equal to :func:`zslbench.data.provenance.array_sha256`."""

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        little = dtype.newbyteorder("<")
        self._hash = hashlib.sha256(f"{little.str}{shape}".encode())

    def update(self, block: np.ndarray) -> None:
        """The next rows, C-contiguous."""
        self._hash.update(block.reshape(-1).view(np.uint8).data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def scaled_digest(digest: str, scale: float | None) -> str:
    """The digest of values: that of the stored array, and of its scale where it has one."""
    return digest if scale is None else hashlib.sha256(f"{digest} times {scale!r}".encode()).hexdigest()
