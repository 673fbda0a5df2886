"""Data sets of one file: what comes of them is what the arrays say, whatever the layout, or an error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from zslbench.data.xlsa17 import FolderSource
from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.settings import NoSettings

CLASSES, ATTRIBUTES, WIDTH = 6, 4, 5
SEEN, UNSEEN = (0, 1, 3, 5), (2, 4)
_random = np.random.default_rng(11)
ATT = _random.random((CLASSES, ATTRIBUTES)) + 0.1


def images(classes: tuple[int, ...], each: int) -> tuple[np.ndarray, np.ndarray]:
    labels = _random.permutation(np.repeat(classes, each))
    return _random.random((len(labels), WIDTH)), labels


TRAIN, TEST_SEEN, TEST_UNSEEN = images(SEEN, 4), images(SEEN, 2), images(UNSEEN, 3)


def column(labels: np.ndarray) -> np.ndarray:
    return (labels + 1).reshape(-1, 1).astype(np.uint8)


def epgn() -> dict[str, Any]:
    """As E-PGN reads data.mat; its labels are in label.mat."""
    return {
        "train_fea": TRAIN[0],
        "test_seen_fea": TEST_SEEN[0],
        "test_unseen_fea": TEST_UNSEEN[0],
        "att_train": ATT[TRAIN[1]],
        "attribute": ATT,
        "seen_pro": ATT[list(SEEN)],
        "unseen_pro": ATT[list(UNSEEN)],
    }


def epgn_labels() -> dict[str, Any]:
    one_hot = (TRAIN[1][:, None] == np.array(SEEN)).astype(float)
    return {
        "train_idx": column(TRAIN[1]),
        "test_seen_idex": column(TEST_SEEN[1]),
        "test_unseen_idex": column(TEST_UNSEEN[1]),
        "train_label_new": one_hot,
    }


def plain() -> dict[str, Any]:
    """x_train and so on with test images together and attributes per image."""
    both = [np.concatenate(pair) for pair in zip(TEST_UNSEEN, TEST_SEEN, strict=True)]
    return {
        "x_train": TRAIN[0].T,
        "y_train": TRAIN[1] + 1,
        "x_test": both[0],
        "y_test": both[1] + 1,
        "S_tr": ATT[TRAIN[1]],
        "S_te": ATT[both[1]],
    }


def of_classes() -> dict[str, Any]:
    """Attributes per class; those of unseen classes in an order of their own."""
    pair = {
        "x_train": TRAIN[0],
        "y_train": TRAIN[1],
        "x_test_seen": TEST_SEEN[0],
        "y_test_seen": TEST_SEEN[1],
    }
    return pair | {
        "x_test_unseen": TEST_UNSEEN[0],
        "y_test_unseen": TEST_UNSEEN[1],
        "S_tr": ATT[list(SEEN)],
        "S_te_pro": ATT[[4, 2]],
        "te_cl_id": np.array([4, 2]),
    }


def check(root: Path, name: str = "zoo") -> Dataset:
    """The data set has exactly these images, classes, attributes and parts."""
    found = FolderSource(NoSettings()).load(DataRequest(name, root))
    assert len(found.labels) == sum(len(labels) for _, labels in (TRAIN, TEST_SEEN, TEST_UNSEEN))
    for rows, (x, labels) in zip(found.split.parts.values(), (TRAIN, TEST_SEEN, TEST_UNSEEN), strict=True):
        np.testing.assert_array_equal(found.features[rows], x.astype(np.float32))
        own = ATT[labels] / np.linalg.norm(ATT[labels], axis=1, keepdims=True)
        np.testing.assert_allclose(found.semantics[found.labels[rows]], own, rtol=1e-6)
    return found


def test_epgn(run: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "data.mat", epgn())
    scipy.io.savemat(tmp_path / "label.mat", epgn_labels())
    result = run(tmp_path / "data.mat", "--name", "Zoo")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("zoo: 30 images of 6 classes (trainval 16, test_seen 8, test_unseen 6)")
    found = check(root)
    assert found.features_name == "data" and found.class_names[0] == "class_001"
    original = scipy.io.loadmat(root / "Zoo" / "att_splits.mat")["original_att"]
    np.testing.assert_array_equal(original.T, ATT)
    assert "already there" in run(tmp_path / "data.mat", "--name", "Zoo").stdout
    scipy.io.savemat(
        tmp_path / "data.mat", epgn() | {"attribute": ATT[::-1], "att_train": ATT[::-1][TRAIN[1]]}
    )
    again = run(tmp_path / "data.mat", "--name", "Zoo")
    assert again.exit_code == 1 and "--force" in again.stderr
    assert run(tmp_path / "data.mat", "--name", "Zoo", "--force").exit_code == 0


def test_sae_has_no_test_images_of_seen_classes(run: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    """As cub_demo_data.mat: attributes of training images and of test classes, labels with the set's name."""
    arrays = {"X_tr": TRAIN[0], "S_tr": ATT[TRAIN[1]], "train_labels_cub": column(TRAIN[1])}
    arrays |= {"X_te": TEST_UNSEEN[0], "test_labels_cub": column(TEST_UNSEEN[1])}
    scipy.io.savemat(
        tmp_path / "demo.mat", arrays | {"S_te_pro": ATT[[4, 2]], "te_cl_id": column(np.array([4, 2]))}
    )
    result = run(tmp_path / "demo.mat", "--name", "sae")
    assert result.exit_code == 0, result.stderr
    found = FolderSource(NoSettings()).load(DataRequest("sae", root))
    sizes = [len(rows) for rows in found.split.parts.values()]
    assert sizes == [len(TRAIN[1]), 0, len(TEST_UNSEEN[1])]
    own = ATT[TEST_UNSEEN[1]] / np.linalg.norm(ATT[TEST_UNSEEN[1]], axis=1, keepdims=True)
    np.testing.assert_allclose(found.semantics[found.labels[found.split.test_unseen]], own, rtol=1e-6)


def write_npz(path: Path, arrays: dict[str, Any]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def write_hdf5(path: Path, arrays: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("_", "/", 1)] = array


@pytest.mark.parametrize("write", [scipy.io.savemat, write_npz, write_hdf5])
@pytest.mark.parametrize("layout", [plain, of_classes, lambda: epgn() | epgn_labels()])
def test_layouts_in_every_format(
    run: Callable[..., Any], root: Path, tmp_path: Path, layout: Any, write: Any
) -> None:
    path = tmp_path / "arrays.bin"  # the ending says nothing
    write(path, layout()) if write is not scipy.io.savemat else scipy.io.savemat(
        path, layout(), appendmat=False
    )
    result = run(path, "--name", "zoo", "--features-name", "own")
    assert result.exit_code == 0, result.stderr
    check(root)
    assert ("order of their numbers (0, 1, 3, 5)" in result.stderr) == ("S_te_pro" in layout())
    assert ("not used: " in result.stderr) == ("train_label_new" in layout())


def test_test_images_given_twice_are_read_once(run: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    both = {"x_test": TEST_UNSEEN[0], "y_test": TEST_UNSEEN[1]}
    write_npz(tmp_path / "empty.npz", of_classes() | {"x_test": np.zeros((0, 0)), "y_test": np.zeros((0, 0))})
    assert run(tmp_path / "empty.npz", "--name", "other").exit_code == 0
    write_npz(tmp_path / "data.npz", of_classes() | both)
    result = run(tmp_path / "data.npz", "--name", "zoo")
    assert result.exit_code == 0 and "x_test is not used" in result.stderr
    check(root)


def test_matlab_73(run: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.mat", "w", userblock_size=512) as file:
        for name, array in plain().items():
            file[name] = np.atleast_2d(array).T
    with (tmp_path / "data.mat").open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    assert run(tmp_path / "data.mat", "--name", "zoo").exit_code == 0
    check(root)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"y_train": None}, "no labels of x_train"),
        ({"y_test": np.zeros(3)}, "x_test is"),
        ({"y_train": TRAIN[1] + 0.5}, "whole numbers"),
        ({"y_train": TRAIN[1] * 1e300}, "whole numbers"),
        ({"S_te": None}, "no attributes of 2 classes"),
        ({"S_tr": ATT[:3]}, "row per image or per class"),
        ({"S_tr": np.flipud(ATT[TRAIN[1]])}, "different rows"),
        ({"x_train": TRAIN[0] * np.nan}, "NaN"),
        ({"x_train": TRAIN[0][:, :3]}, "different lengths"),
        (
            {"S_tr": None, "S_te": None, "attribute": np.vstack([ATT, ATT[:1], ATT[:1]])},
            "cannot be matched with certainty",
        ),
        ({"x_train": np.array([["text"]])}, "not a matrix of real numbers"),
    ],
)
def test_faults_are_one_line(
    run: Callable[..., Any], root: Path, tmp_path: Path, changes: dict[str, Any], fault: str
) -> None:
    arrays = {key: value for key, value in (plain() | changes).items() if value is not None}
    write_npz(tmp_path / "data.npz", arrays)
    result = run(tmp_path / "data.npz", "--name", "zoo")
    lines = [line for line in result.stderr.splitlines() if not line.startswith("checking")]
    assert (result.exit_code, len(lines)) == (1, 1), result.stderr
    assert fault in result.stderr and str(tmp_path) in result.stderr
    assert not (root / "zoo").exists()


def test_numbering_that_only_attributes_per_image_settle(
    run: Callable[..., Any], root: Path, tmp_path: Path
) -> None:
    """Labels 1 to 6 of 8 rows count from 0 or from 1: the rows of S_tr tell."""
    for base, table in ((1, np.vstack([ATT, ATT[:2] / 2])), (0, np.vstack([ATT[:1] / 2, ATT, ATT[:1] / 2]))):
        write_npz(tmp_path / "data.npz", plain() | {"attribute": table})
        result = run(tmp_path / "data.npz", "--name", f"zoo{base}")
        assert result.exit_code == 0, result.stderr
        assert "2 classes with attributes have no images" in result.stderr
        check(root, f"zoo{base}")


def pack(path: Path, head: bytes) -> Path:
    path.write_bytes(head + bytes(600))
    return path


def test_other_files_are_recognised_whatever_they_are_called(
    run: Callable[..., Any], root: Path, tmp_path: Path
) -> None:
    scipy.io.savemat(tmp_path / "res101.hdf5", {"features": np.eye(3), "labels": [1, 2, 3]}, appendmat=False)
    scipy.io.savemat(tmp_path / "old.mat", {"x_train": np.eye(2)}, format="4")
    np.save(tmp_path / "own.npy", np.eye(3))
    write_npz(tmp_path / "pack.mat", {"a": np.eye(2)})
    write_hdf5(tmp_path / "some.mat", {"x": np.eye(2)})
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "empty.mat").touch()
    for name, words in {
        "res101.hdf5": "MATLAB file of version 5 or 7 with features, labels",
        "old.mat": "save -v7",
        "own.npy": "a .npy array",
        "pack.mat": "a .npz file with a",
        "some.mat": "an HDF5 file with x",
        "table.csv": "is text",
        "empty.mat": "an empty file",
        pack(tmp_path / "a.zip", b"PK\x03\x04").name: "a zip archive",
        pack(tmp_path / "a.mat", b"\x1f\x8b\x08").name: "a gzip file",
        pack(tmp_path / "b.mat", b"\x80\x04\x95").name: "a Python pickle",
        pack(tmp_path / "c.mat", b"version https://git-lfs.github.com/spec/v1\n").name: "Git LFS pointer",
        pack(tmp_path / "d.mat", b"<!DOCTYPE html>").name: "a web page",
        pack(tmp_path / "e.tar", b"x" * 257 + b"ustar").name: "a tar archive",
    }.items():
        result = run(tmp_path / name, "--name", "zoo")
        assert result.exit_code == 1 and words in result.stderr, (name, result.stderr)
        assert len(result.stderr.strip().splitlines()) == 1
    assert not (root / "zoo").exists()
