"""A small data set in the xlsa17 format, written by SciPy (version 5) or by h5py in MATLAB's 7.3 layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

Write = Callable[..., Path]


def cells(names: list[str]) -> np.ndarray:
    array = np.empty((len(names), 1), dtype=object)
    array[:, 0] = names
    return array


def write_mat73(path: Path, contents: dict[str, Any]) -> None:
    """What MATLAB's ``save -v7.3`` writes: reversed axes, uint16 text, cells of references, a header."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, value in contents.items():
            if value.dtype == object:
                references = np.empty(value.T.shape, dtype=h5py.ref_dtype)
                for place, text in np.ndenumerate(value.T):
                    name = f"#refs#/{key}{'_'.join(map(str, place))}"
                    units = np.array([[ord(one)] for one in text], dtype=np.uint16)
                    if not len(text):
                        cell = file.create_dataset(name, data=np.array([0, 0], dtype=np.uint64))
                        cell.attrs["MATLAB_empty"] = np.uint8(1)
                    else:
                        cell = file.create_dataset(name, data=units)
                    cell.attrs["MATLAB_class"] = np.bytes_("char")
                    references[place] = cell.ref
                item = file.create_dataset(key, data=references)
                item.attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                packed = {"compression": "gzip"} if value.size > 100 else {}
                item = file.create_dataset(key, data=value.T, **packed)
                item.attrs["MATLAB_class"] = np.bytes_("double")
    header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    with path.open("r+b") as raw:
        raw.write(header)


@pytest.fixture
def mat73() -> Callable[[Path, dict[str, Any]], None]:
    return write_mat73


@pytest.fixture
def contents() -> dict[str, Any]:
    """Six classes of ten images each, the last two unseen; three attributes. Everything 1-based and d x N."""
    random = np.random.default_rng(7)
    labels = np.repeat(np.arange(1, 7), 10)
    rows = np.arange(1, 61).reshape(6, 10)
    return {
        "features": random.random((5, 60)),
        "labels": labels.reshape(-1, 1).astype(np.uint8),
        "image_files": cells([f"images/{one}.jpg" for one in range(60)]),
        "att": random.random((3, 6)) + 0.1,
        "original_att": random.random((3, 6)) + 0.1,
        "allclasses_names": cells(["ant", "bee", "cat", "dog", "elk", "fox"]),
        "trainval_loc": random.permutation(rows[:4, :8].ravel()).reshape(-1, 1).astype(np.uint16),
        "test_seen_loc": rows[:4, 8:].reshape(-1, 1).astype(np.uint16),
        "test_unseen_loc": rows[4:].reshape(-1, 1).astype(np.uint16),
        "train_loc": rows[:3].reshape(-1, 1).astype(np.uint16),
        "val_loc": rows[3:4].reshape(-1, 1).astype(np.uint16),
    }


@pytest.fixture
def write_set(tmp_path: Path, contents: dict[str, Any]) -> Write:
    """Write the small set with some variables changed (None: left out); gives its folder."""

    def write(folder: str = "Mini", stem: str = "res101", version: str = "5", **changes: Any) -> Path:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        everything = {key: one for key, one in (contents | changes).items() if one is not None}
        images = {
            key: everything.pop(key) for key in ("features", "labels", "image_files") if key in everything
        }
        for name, variables in ((stem, images), ("att_splits", everything)):
            if version == "7.3":
                write_mat73(target / f"{name}.mat", variables)
            else:
                scipy.io.savemat(target / f"{name}.mat", variables, do_compression=version == "7")
        return target

    return write
