"""A small data set on disk: seven classes, regions, names, vectors, image names."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

CLASSES, EACH, ATTRIBUTES, CHANNELS, GRID = 7, 6, 5, 8, (2, 3)


def cells(names: list[str]) -> np.ndarray:
    array = np.empty((len(names), 1), dtype=object)
    array[:, 0] = names
    return array


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Data root with the data set ``Mine``: res101.mat, sentences and a region file of another scale."""
    random = np.random.default_rng(5)
    images = CLASSES * EACH
    labels = random.permutation(np.repeat(np.arange(CLASSES), EACH))
    parts: dict[str, list[int]] = {"trainval": [], "test_seen": [], "test_unseen": []}
    for one in range(CLASSES):
        rows = np.flatnonzero(labels == one).tolist()
        if one >= 5:
            parts["test_unseen"] += rows
        else:
            parts["test_seen"] += rows[:2]
            parts["trainval"] += rows[2:]
    # One image in no part, and the parts not in order.
    parts["trainval"].pop()
    locations = {f"{key}_loc": random.permutation(rows)[:, None] + 1 for key, rows in parts.items()}
    names = cells([f"Class {one} ü" if one == 3 else f"class_{one}" for one in range(CLASSES)])
    files = [f"class_{label}/{row}.jpg" for row, label in enumerate(labels)]
    att = random.random((ATTRIBUTES, CLASSES)) + 0.1
    val = np.isin(labels[np.array(parts["trainval"])], [1, 4])
    trainval = np.array(parts["trainval"])
    folder = tmp_path / "data" / "Mine"
    folder.mkdir(parents=True)
    scipy.io.savemat(
        folder / "att_splits.mat",
        {
            "att": att / np.linalg.norm(att, axis=0),
            "original_att": att * 100,
            "allclasses_names": names,
            "train_loc": trainval[~val][:, None] + 1,
            "val_loc": trainval[val][:, None] + 1,
            **locations,
        },
    )
    scipy.io.savemat(
        folder / "res101.mat",
        {
            "features": random.normal(size=(CHANNELS, images)),
            "labels": labels[:, None] + 1,
            "image_files": cells([f"/far/away/{one}" for one in files]),
        },
    )
    sentences = random.normal(size=(11, CLASSES))
    scipy.io.savemat(folder / "sent_splits.mat", {"att": sentences, "allclasses_names": names, **locations})
    (folder / "attribute_names.txt").write_text("\n".join(f"has_thing::{one}" for one in range(ATTRIBUTES)))
    np.save(folder / "attribute_vectors.npy", random.normal(size=(ATTRIBUTES, 4)).astype(np.float32))
    with h5py.File(folder / "net.hdf5", "w") as file:
        values = random.integers(0, 255, size=(images, CHANNELS, *GRID)).astype(np.uint8)
        file.create_dataset("feature_map", data=values, chunks=(4, CHANNELS, *GRID), compression="gzip")
        file["feature_map"].attrs["scale"] = 0.25
        file["labels"] = labels
    return tmp_path / "data"
