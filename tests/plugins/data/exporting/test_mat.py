"""The writer of MATLAB files against SciPy, h5py and our own reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from zslbench.data.matfile import mat_variables, read_mat
from zslbench.errors import DataError
from zslbench_data.exporting import mat
from zslbench_data.exporting.mat import Rows, write_mat

NAMES = ["cat", "", "Ünicode ñ", "two words"]


def rows_of(array: np.ndarray) -> Rows:
    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, len(array), 3):
            yield array[start : start + 3]

    return Rows(array.shape, blocks)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (4, 2), (10, 3)])
@pytest.mark.parametrize("name", ["features", "x", "abcdefghi"])
def test_scipy_reads_the_streamed_matrix(tmp_path: Path, shape: tuple[int, int], name: str) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    small = {"labels": np.arange(3, dtype=np.int32)[:, None], "names": NAMES}
    write_mat(tmp_path / "a.mat", small, {name: rows_of(array)})
    found = scipy.io.loadmat(tmp_path / "a.mat")
    assert found[name].dtype == np.float32
    np.testing.assert_array_equal(found[name], array.T)
    assert found["labels"].tolist() == [[0], [1], [2]]
    assert [str(one[0]) if one.size else "" for one in found["names"][:, 0]] == NAMES
    ours = read_mat(tmp_path / "a.mat", {name, "names"})
    np.testing.assert_array_equal(ours[name], array.T)
    assert ours["names"] == NAMES


def test_two_matrices_one_after_the_other(tmp_path: Path) -> None:
    one, other = np.ones((3, 1), np.float32), np.full((2, 2), 2, np.float32)
    write_mat(tmp_path / "a.mat", {}, {"one": rows_of(one), "other": rows_of(other)})
    assert mat_variables(tmp_path / "a.mat") == ["one", "other"]
    np.testing.assert_array_equal(scipy.io.loadmat(tmp_path / "a.mat")["other"], other.T)


def test_what_is_too_large_becomes_7_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    small = {"labels": np.arange(3, dtype=np.int32)[:, None], "names": NAMES, "att": np.eye(3, 2)}
    monkeypatch.setattr(mat, "LARGEST", 4999)  # 4000 bytes, and 1024 for the head
    write_mat(tmp_path / "a.mat", small, {"features": rows_of(array)})
    found = read_mat(tmp_path / "a.mat", {"features", *small})
    np.testing.assert_array_equal(found["features"], array.T)
    np.testing.assert_array_equal(found["labels"], small["labels"])
    np.testing.assert_array_equal(found["att"], small["att"])
    assert found["names"] == NAMES
    with h5py.File(tmp_path / "a.mat") as file:
        assert file["features"].shape == array.shape  # MATLAB's axes are the other way round
        assert file["features"].attrs["MATLAB_class"] == b"single"
        assert file["labels"].attrs["MATLAB_class"] == b"int32"
        assert file["names"].attrs["MATLAB_class"] == b"cell"
        cat = file[file["names"][0, 0]]
        assert cat[()].ravel().tolist() == [ord(one) for one in "cat"]
    assert (tmp_path / "a.mat").read_bytes()[124:128] == b"\x00\x02IM"
    monkeypatch.setattr(mat, "LARGEST", 5024)
    write_mat(tmp_path / "b.mat", small, {"features": rows_of(array)})
    assert scipy.io.loadmat(tmp_path / "b.mat")["features"].shape == (20, 50)


@pytest.mark.parametrize("largest", [mat.LARGEST, 0])
def test_equal_contents_give_equal_bytes(
    tmp_path: Path, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setattr(mat, "LARGEST", largest)
    write_mat(tmp_path / "a.mat", {"names": NAMES, "x": np.eye(2)})
    real = time.asctime
    monkeypatch.setattr(time, "asctime", lambda *_: real((2001, 2, 3, 4, 5, 6, 5, 34, 0)))
    write_mat(tmp_path / "b.mat", {"names": NAMES, "x": np.eye(2)})
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()


def test_a_stop_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(b"old")

    def stopped() -> Iterator[np.ndarray]:
        yield np.ones((1, 2), np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mat(path, {}, {"features": Rows((5, 2), stopped)})
    assert [one.name for one in tmp_path.iterdir()] == ["a.mat"]
    assert path.read_bytes() == b"old"


def test_a_disk_that_fails_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written"):
        write_mat(tmp_path / "file" / "a.mat", {"x": np.eye(2)})
