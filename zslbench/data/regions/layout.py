"""Axes and stored types of region values, and their conversion to and from float32."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Shaped

from zslbench.errors import DataError

STORED_TYPES: dict[str, np.dtype[Any]] = {
    "float16": np.dtype("<f2"),
    "float32": np.dtype("<f4"),
    "uint8": np.dtype("u1"),
}
"""Types that region features are stored in, by name. uint8 has a scale: value = integer times scale."""

BLOCK_BYTES = 1 << 26
"""Bytes of stored regions that are read or written at once."""

_PIECE = 1 << 23
"""Bytes of float32 values that are summed at a time: they stay in the processor's cache."""


Layout = Literal["channels-first", "channels-last"]
"""Whether an image's map is (channels, height, width) or (height, width, channels)."""

LAYOUTS: tuple[Layout, ...] = get_args(Layout)

_WIDE = 4
"""A grid that is not square is accepted if there are this many times more channels than its longer side."""


def find_layout(
    shape: tuple[int, ...], where: object, given: str | None = None, widths: Collection[int] = ()
) -> Layout:
    """The layout of one image's map, which has three axes or two: (channels, regions) or (regions, channels).

    Two things speak for a layout: its channels outnumber each side of the grid, and their number is the width
    of known features. A layout with both is taken, or else the only one with either. Two axes are
    (regions, channels), as documented, unless features say otherwise; where there would be more regions than
    channels, features must decide.

    Args:
        given: what the user or the file says.
        widths: lengths of feature vectors of the same images.

    Raises:
        DataError: both layouts are possible, or neither is likely.
    """
    if given in LAYOUTS:
        return given
    readings: dict[Layout, tuple[int, tuple[int, ...]]] = {
        "channels-first": (shape[0], shape[1:]),
        "channels-last": (shape[-1], shape[:-1]),
    }
    known = {one for one, (channels, _) in readings.items() if channels in widths}
    likely = {one for one, (channels, grid) in readings.items() if _is_likely(channels, grid)}
    if len(shape) == 2:
        likely = {"channels-last"} if shape[0] <= shape[1] else set()
    found = known & likely or known | likely
    if len(found) != 1:
        fault = f"it is unclear which axis of maps of {' x '.join(map(str, shape))} is that of the channels"
        raise DataError(
            where, [fault], f"Import them with zslbench data import --layout {' or '.join(LAYOUTS)}"
        )
    return found.pop()


def _is_likely(channels: int, grid: tuple[int, ...]) -> bool:
    least = max(grid) + 1 if len(set(grid)) == 1 else _WIDE * max(grid)
    return channels >= least


def stored_type(dtype: Any, scale: float | None, where: object) -> np.dtype[Any]:
    """The stored type of this name.

    Raises:
        DataError: it is not one of :data:`STORED_TYPES`, or the scale is not a positive number of uint8.
    """
    name = str(np.dtype(dtype).name)
    if name not in STORED_TYPES:
        raise DataError(where, [f"regions of type {name}; stored types are {', '.join(STORED_TYPES)}"])
    if scale is not None and (name != "uint8" or not np.isfinite(scale) or scale <= 0):
        raise DataError(where, [f"scale {scale} of {name}: only uint8 has one, a number above 0"])
    return STORED_TYPES[name]


def as_float32(
    stored: Shaped[np.ndarray, "*shape"],
    scale: float | None,
    out: Float[np.ndarray, "*shape"] | None = None,
) -> Float[np.ndarray, "*shape"]:
    """The float32 values that are represented: stored values times ``scale`` (rounded to float32).

    PyTorch converts half precision several times as fast as NumPy, with the same results.

    Args:
        out: where to put them; None: a new array, or ``stored`` itself if it is float32 already.
    """
    if stored.dtype == np.float32 and out is None:
        return stored
    import torch  # takes seconds to load, and float32 does not need it

    out = np.empty(stored.shape, dtype=np.float32) if out is None else out
    # torch does not accept read-only arrays.
    native = np.require(stored, stored.dtype.newbyteorder("="), ("C", "W"))
    values = torch.from_numpy(out).copy_(torch.from_numpy(native))
    if scale is not None:
        values.mul_(float(np.float32(scale)))
    return out


def as_stored(
    values: Shaped[np.ndarray, "*shape"], dtype: np.dtype[Any], scale: float | None
) -> Shaped[np.ndarray, "*shape"]:
    """What is written for ``values``: unchanged if they have the stored type already, else converted.

    Floats become uint8 as the integer nearest to value / scale within 0 to 255.
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
        return np.asarray(given.to(torch.float16).numpy())
    integers = torch.round(given / (1.0 if scale is None else scale)).clamp_(0, 255)
    return np.asarray(integers.to(torch.uint8).numpy())


def mean_over_regions(
    stored: Shaped[np.ndarray, "n regions dv"], scale: float | None
) -> Float[np.ndarray, "n dv"]:
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
