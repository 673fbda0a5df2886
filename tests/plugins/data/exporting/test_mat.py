"""The writer of MATLAB files against SciPy, h5py and our own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from zslbench.data.matfile import read_mat
from zslbench.errors import DataError
from zslbench_data.exporting import xlsa17
from zslbench_data.exporting.xlsa17 import write_mat

NAMES = ["cat", "", "Ünicode ñ", "two words"]


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (4, 2), (10, 3)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_features_are_float32_with_an_image_per_column(
    tmp_path: Path, shape: tuple[int, int], dtype: str
) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(dtype)
    small = {"labels": np.arange(3, dtype=np.int32)[:, None], "names": NAMES}
    write_mat(tmp_path / "a.mat", small, array)
    found = scipy.io.loadmat(tmp_path / "a.mat")
    assert found["features"].dtype == np.float32
    np.testing.assert_array_equal(found["features"], array.T.astype(np.float32))
    assert found["labels"].tolist() == [[0], [1], [2]]
    assert [str(one[0]) if one.size else "" for one in found["names"][:, 0]] == NAMES
    ours = read_mat(tmp_path / "a.mat", {"features", "names"})
    np.testing.assert_array_equal(ours["features"], array.T.astype(np.float32))
    assert ours["names"] == NAMES


def test_files_over_2_gb_have_version_7_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    small = {"labels": np.arange(3, dtype=np.int32)[:, None], "names": NAMES, "att": np.eye(3, 2)}
    monkeypatch.setattr(xlsa17, "LARGEST", 4999)  # 4000 bytes, and 1024 for the head
    write_mat(tmp_path / "a.mat", small, array)
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
    monkeypatch.setattr(xlsa17, "LARGEST", 5024)
    write_mat(tmp_path / "b.mat", small, array)
    assert scipy.io.loadmat(tmp_path / "b.mat")["features"].shape == (20, 50)


@pytest.mark.parametrize("largest", [xlsa17.LARGEST, 0])
def test_equal_contents_give_equal_bytes(
    tmp_path: Path, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setattr(xlsa17, "LARGEST", largest)
    write_mat(tmp_path / "a.mat", {"names": NAMES, "x": np.eye(2)})
    real = time.asctime
    monkeypatch.setattr(time, "asctime", lambda *_: real((2001, 2, 3, 4, 5, 6, 5, 34, 0)))
    write_mat(tmp_path / "b.mat", {"names": NAMES, "x": np.eye(2)})
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(b"old")

    def interrupted(file: Any, _: object) -> None:
        file.write(b"new")
        raise KeyboardInterrupt

    monkeypatch.setattr(scipy.io, "savemat", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_mat(path, {"x": np.eye(2)})
    assert [one.name for one in tmp_path.iterdir()] == ["a.mat"]
    assert path.read_bytes() == b"old"


def test_a_failing_disk_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be written"):
        write_mat(tmp_path / "file" / "a.mat", {"x": np.eye(2)})
