"""Says which numbers a run used: the sha256 of an array, wherever it came from."""

from __future__ import annotations

import hashlib

import numpy as np

from zslbench.plugin.dataset import Source


def array_sha256(array: np.ndarray) -> str:
    """sha256 (hex) of dtype, shape and the values in C order, little-endian: equal arrays, equal digests."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{little.dtype.str}{little.shape}".encode())
    digest.update(little.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def source(name: str, file: str, array: np.ndarray) -> Source:
    """The record of one array of a data set. ``file`` is relative to the data root."""
    return Source(array=name, file=file, sha256=array_sha256(array))
