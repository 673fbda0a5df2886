"""Identifies the numbers that a run used: the sha256 of an array, wherever it came from."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from zslbench.plugin.dataset import Source


class ArrayDigest:
    """The sha256 of dtype, shape and the values in C order, little-endian, of an array that comes in
    blocks."""

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.dtype, self.shape = dtype.newbyteorder("<"), shape
        self._hash = hashlib.sha256(f"{self.dtype.str}{shape}".encode())

    def update(self, block: np.ndarray) -> None:
        """The next rows, C-contiguous and little-endian."""
        self._hash.update(block.reshape(-1).view(np.uint8).data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def array_sha256(array: np.ndarray) -> str:
    """sha256 (hex) of an array as :class:`ArrayDigest` computes it: equal arrays, equal digests."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    digest = ArrayDigest(little.dtype, little.shape)
    digest.update(little)
    return digest.hexdigest()


def source(name: str, file: str, array: np.ndarray) -> Source:
    """The record of one array of a data set. ``file`` is relative to the data root."""
    return Source(array=name, file=file, sha256=array_sha256(array))
