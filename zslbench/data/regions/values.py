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


_PIECE = 1 << 23
"""Bytes of float32 values that are summed at a time: they stay in the processor's cache."""


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


def as_float32(
    stored: Shaped[np.ndarray, "*shape"],
    scale: float | None,
    out: Float[np.ndarray, "*shape"] | None = None,
) -> Float[np.ndarray, "*shape"]:
    """The values that are meant: float32, times ``scale`` (rounded to float32).

    PyTorch converts half precision several times as fast as NumPy; the results are the same.

    Args:
        out: where to put them; None: a new array, or ``stored`` itself where it is float32 already.
    """
    if stored.dtype == np.float32 and out is None:
        return stored
    import torch  # after the above: float32 does without, and it takes seconds to load

    out = np.empty(stored.shape, dtype=np.float32) if out is None else out
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
    if values.dtype == dtype:
        return np.ascontiguousarray(values)
    with np.errstate(over="ignore"):  # what does not fit becomes infinite and is reported as such
        values = np.ascontiguousarray(values, dtype=np.float32)
    if dtype == np.float32:
        return values
    import torch

    given = torch.from_numpy(values)
    if dtype == np.float16:
        half: np.ndarray = given.to(torch.float16).numpy()
        return half
    integers = torch.round(given / (1.0 if scale is None else scale)).clamp_(0, 255)
    whole: np.ndarray = integers.to(torch.uint8).numpy()
    return whole


def pooled(stored: Shaped[np.ndarray, "n regions dv"], scale: float | None) -> Float[np.ndarray, "n dv"]:
    """The mean over regions, summed region by region in float32: the same bits on every machine."""
    images, regions, channels = stored.shape
    means = np.empty((images, channels), dtype=np.float32)
    size = max(1, _PIECE // (regions * channels * 4))
    piece = np.empty((min(size, images), regions, channels), dtype=np.float32)
    for start in range(0, images, size):
        part = stored[start : start + size]
        values = as_float32(part, scale, None if part.dtype == np.float32 else piece[: len(part)])
        np.mean(values, axis=1, out=means[start : start + size])
    return means


def refuse_no_numbers(
    values: Shaped[np.ndarray, "n ..."], dtype: np.dtype[Any], where: object, first: int = 0
) -> None:
    """Refuse regions with NaN or infinite values.

    Args:
        values: regions, or their means, which are finite only if all that they sum is.
        first: number of the first of these images.

    Raises:
        DataError: says how many images there are, and the row of one.
    """
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if len(bad):
        kind = f", or too large for {dtype.name}" if dtype == np.float16 else ""
        raise DataError(
            where, [f"{len(bad)} images have NaN or infinite regions{kind} (row {first + bad[0]})"]
        )


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
