"""A cache for each test, and a small data set with region features in the authors' HDF5 layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

GRID, CHANNELS, IMAGES, CLASSES, ATTRIBUTES = (2, 3), 12, 60, 6, 5


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder that the test uses; region stores lie in its folder ``regions``."""
    monkeypatch.setenv("ZSLBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "regions"


@pytest.fixture
def contents() -> dict[str, Any]:
    """Six classes of ten images each, the last two unseen, as the HDF5 layout has them: 0-based."""
    random = np.random.default_rng(3)
    rows = np.arange(IMAGES).reshape(CLASSES, 10)
    att = random.random((CLASSES, ATTRIBUTES)).astype(np.float32) + 0.1
    return {
        "feature_map": random.random((IMAGES, CHANNELS, *GRID)).astype(np.float32),
        "labels": np.repeat(np.arange(CLASSES), 10),
        "trainval_loc": random.permutation(rows[:4, :8].ravel()),
        "test_seen_loc": rows[:4, 8:].ravel(),
        "test_unseen_loc": rows[4:].ravel(),
        "att": att,
        "original_att": att * 100,
        "w2v_att": random.normal(size=(ATTRIBUTES, 3)).astype(np.float32),
        "image_files": np.array([f"some/where/{one}.jpg".encode() for one in range(IMAGES)], dtype=object),
    }


@pytest.fixture
def write_hdf5(contents: dict[str, Any]) -> Callable[..., Path]:
    """Write the file, with some data sets changed (None: left out)."""

    def write(
        path: Path, scale: float | None = None, userblock: int = 0, layout: Any = None, **changes: Any
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w", userblock_size=userblock) as file:
            for key, value in (contents | changes).items():
                if value is not None:
                    file.create_dataset(key, data=value, **(layout or {} if key == "feature_map" else {}))
            if scale is not None:
                file["feature_map"].attrs["scale"] = scale
        return path

    return write


@pytest.fixture
def write_folder(tmp_path: Path, contents: dict[str, Any]) -> Callable[..., Path]:
    """Write ``<root>/Mini`` in the xlsa17 format, 1-based; features are optional."""

    def write(features: str | None = None, name: str = "Mini", **changes: Any) -> Path:
        folder = tmp_path / "root" / name
        folder.mkdir(parents=True, exist_ok=True)
        own = contents | changes
        names = np.empty((CLASSES, 1), dtype=object)
        names[:, 0] = ["ant", "bee", "cat", "dog", "elk", "fox"]
        splits = {
            f"{part}_loc": own[f"{part}_loc"][:, None] + 1
            for part in ("trainval", "test_seen", "test_unseen")
        }
        splits |= {"att": own["att"].T.astype(np.float64), "allclasses_names": names}
        scipy.io.savemat(folder / "att_splits.mat", splits)
        if features is not None:
            files = np.empty((IMAGES, 1), dtype=object)
            files[:, 0] = [f"/else/where/{one.decode().rpartition('/')[2]}" for one in own["image_files"]]
            images = {
                "features": own["feature_map"].mean(axis=(2, 3)).T * 2,
                "labels": own["labels"][:, None] + 1,
                "image_files": files,
            }
            scipy.io.savemat(folder / f"{features}.mat", images)
        return folder

    return write
