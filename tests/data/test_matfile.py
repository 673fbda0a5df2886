"""Reading MATLAB files: what comes back, and that nothing a file may hold brings the process down."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from zslbench.data.matfile import features_widths, mat_variables, read_mat
from zslbench.errors import DataError, MissingData


@pytest.mark.parametrize("version", ["5", "7", "7.3"])
def test_same_contents_from_every_version(write_set: Any, contents: dict[str, Any], version: str) -> None:
    folder = write_set(version=version)
    read = read_mat(folder / "res101.mat", ["features", "labels", "image_files", "nothing"])
    read |= read_mat(folder / "att_splits.mat", contents)
    assert set(read) == set(contents)
    assert read["image_files"] == [f"images/{one}.jpg" for one in range(60)]
    assert read["allclasses_names"] == ["ant", "bee", "cat", "dog", "elk", "fox"]
    for key in ("features", "labels", "att", "trainval_loc"):
        value = read[key]
        assert isinstance(value, np.ndarray)
        assert value.dtype == contents[key].dtype
        np.testing.assert_array_equal(value, contents[key])
    assert set(mat_variables(folder / "res101.mat")) == {"features", "labels", "image_files"}


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_text_may_be_empty_or_beyond_ascii_and_cells_may_lie(
    tmp_path: Path, mat73: Callable[..., None], version: str
) -> None:
    cells = np.empty((1, 3), dtype=object)
    cells[0, :] = ["", "Grünspecht", "ś"]
    path = tmp_path / "names.mat"
    if version == "5":
        scipy.io.savemat(path, {"names": cells})
    else:
        mat73(path, {"names": cells})
    assert read_mat(path, ["names"])["names"] == ["", "Grünspecht", "ś"]


def test_only_wanted_variables_must_be_readable(tmp_path: Path) -> None:
    path = tmp_path / "mixed.mat"
    scipy.io.savemat(path, {"att": np.eye(2), "notes": {"a": 1}, "sparse": scipy.sparse.eye_array(3).tocsc()})
    assert set(read_mat(path, ["att"])) == {"att"}
    with pytest.raises(DataError, match="'notes' is a struct"):
        read_mat(path, ["notes"])


@pytest.mark.parametrize("version", ["5", "7", "7.3"])
@pytest.mark.parametrize("density", [0.0, 0.3])
def test_sparse_matrices_come_with_their_zeros(tmp_path: Path, version: str, density: float) -> None:
    random = np.random.default_rng(3)
    dense = random.random((50, 41)) * (random.random((50, 41)) < density)
    sparse, path = scipy.sparse.csc_matrix(dense), tmp_path / "sparse.mat"
    if version == "7.3":
        with h5py.File(path, "w", userblock_size=512) as file:
            item = file.create_group("features")
            item.attrs["MATLAB_sparse"] = np.uint64(50)
            item["jc"] = sparse.indptr.astype("u8")
            if density:
                item["data"], item["ir"] = sparse.data, sparse.indices.astype("u8")
        with path.open("r+b") as raw:
            raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    else:
        scipy.io.savemat(path, {"features": sparse, "att": np.eye(2)}, do_compression=version == "7")
    read = read_mat(path, ["features"])["features"]
    assert isinstance(read, np.ndarray) and read.dtype == np.float64
    np.testing.assert_array_equal(read, dense)
    assert features_widths(tmp_path) == {50}


def test_sparse_claims_and_indices_are_checked(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "one.mat", {"x": scipy.sparse.csc_matrix(np.arange(1.0, 7.0).reshape(2, 3))})
    raw = (tmp_path / "one.mat").read_bytes()
    dims = raw.index(np.array([2, 3], "<i4").tobytes(), 128)
    rows = raw.index(np.array([0, 1, 0, 1, 0, 1], "<i4").tobytes(), 128)
    begins = raw.index(np.array([0, 2, 4, 6], "<i4").tobytes(), 128)
    for at, values in (
        (dims, [2**31 - 1, 3]),  # stands for more than fits
        (dims, [1, 3]),  # a row beyond the matrix
        (rows, [2**30]),
        (rows, [-5]),
        (begins, [0, 5, 4, 6]),  # columns that end before they begin
        (begins, [0, 2, 4, 2**30]),
    ):
        piece = np.array(values, "<i4").tobytes()
        (tmp_path / "bad.mat").write_bytes(raw[:at] + piece + raw[at + len(piece) :])
        with pytest.raises(DataError, match=r"bad\.mat"):
            read_mat(tmp_path / "bad.mat", ["x"])


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.array([1 + 2j]), "complex"), (np.array([[np.eye(2), "a"]], dtype=object), "cell array of numbers")],
)
def test_what_is_neither_numbers_nor_text_is_refused(tmp_path: Path, value: Any, message: str) -> None:
    scipy.io.savemat(tmp_path / "odd.mat", {"att": value})
    with pytest.raises(DataError, match=message):
        read_mat(tmp_path / "odd.mat", ["att"])


def test_missing_file_and_files_of_other_kinds(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"none\.mat"):
        read_mat(tmp_path / "none.mat", ["att"])
    old = tmp_path / "version4.mat"
    scipy.io.savemat(old, {"att": np.eye(2)}, format="4")
    for name, raw, message in [
        ("empty.mat", b"", "is empty"),
        ("text.mat", b"att = [1 2 3]\n" * 30, "not a MATLAB file"),
        ("short.mat", b"MATLAB 5.0", "not a MATLAB file"),
        ("v4.mat", old.read_bytes(), "MATLAB 4.*save -v7"),
        ("page.mat", b"<!DOCTYPE html>" + b" " * 500, "is a web page, not a MATLAB file"),
    ]:
        path = tmp_path / name
        path.write_bytes(raw)
        with pytest.raises(DataError, match=message) as caught:
            read_mat(path, ["att"])
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("version", ["5", "7", "7.3"])
def test_a_file_cut_anywhere_is_an_error_that_names_it(write_set: Any, version: str, tmp_path: Path) -> None:
    whole = (write_set(version=version) / "res101.mat").read_bytes()
    path = tmp_path / "cut.mat"
    for part in (0.05, 0.3, 0.6, 0.9, 0.999):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(DataError, match=r"cut\.mat"):
            read_mat(path, ["features", "labels", "image_files"])


def test_claims_beyond_the_file_are_refused_without_allocating(tmp_path: Path) -> None:
    """An honest header that claims 2**31 - 1 x 2**31 - 1 numbers or cells, plain and compressed, and HDF5."""
    scipy.io.savemat(tmp_path / "one.mat", {"att": np.arange(6.0).reshape(2, 3)})
    raw = bytearray((tmp_path / "one.mat").read_bytes())
    dims = raw.index(np.array([2, 3], "<i4").tobytes(), 128)
    raw[dims : dims + 8] = np.array([2**31 - 1] * 2, "<i4").tobytes()
    body = bytes(raw[128:])
    packed = zlib.compress(body)
    compressed = bytes(raw[:128]) + np.array([15, len(packed)], "<u4").tobytes() + packed
    for name, data in (("plain.mat", bytes(raw)), ("packed.mat", compressed)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match="4611686014132420609 values"):
            read_mat(tmp_path / name, ["att"])
    with h5py.File(tmp_path / "huge.mat", "w") as file:
        file.create_dataset("att", shape=(10**7, 10**7), dtype="f8", chunks=(100, 100), compression="gzip")
    with pytest.raises(DataError, match="claims shape"):
        read_mat(tmp_path / "huge.mat", ["att"])
