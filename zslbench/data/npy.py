"""Opens ``.npy`` files of numbers without reading them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zslbench.data.kinds import NPY, UNKNOWN, file_kind, require_file
from zslbench.errors import DataError


def open_npy(path: Path) -> np.ndarray:
    """The array in a file, memory-mapped; a header that claims more than the file holds is an error.

    Raises:
        MissingData: there is no such file.
        DataError: it is not a ``.npy`` file of real numbers, or it is empty.
    """
    require_file(path)
    try:
        if (kind := file_kind(path)) not in (NPY, UNKNOWN):
            raise DataError(path, [f"is {kind}, not a .npy array of numbers"])
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except DataError:
        raise
    except Exception as error:  # NumPy evaluates the header, which can raise anything
        raise DataError(path, [f"is not a .npy array of numbers ({error})"]) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub" or 0 in array.shape:
        raise DataError(path, ["is not an array of numbers, or an empty one"])
    return array
