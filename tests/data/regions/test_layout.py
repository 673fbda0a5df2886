"""Whether channels come first or last is found from sizes and features, or refused; values are the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

from zslbench.cli.main import cli
from zslbench.data.matfile import features_widths
from zslbench.data.regions.attach import disagreements
from zslbench.data.regions.find import open_regions
from zslbench.data.regions.layout import find_layout
from zslbench.data.regions.store import RegionStore
from zslbench.data.regions.writer import RegionWriter
from zslbench.data.xlsa17 import read_xlsa17
from zslbench.errors import DataError

Write = Callable[..., Path]


@pytest.mark.parametrize(("shape", "widths", "expected"), [
    ((1280, 7, 7), (), "first"), ((7, 7, 1280), (), "last"), ((7, 7, 1280), (2048,), "last"),
    ((2048, 14, 14), (2048,), "first"), ((2048, 12, 20), (), "first"), ((12, 20, 2048), (), "last"),
    ((64, 56, 56), (), "first"), ((56, 56, 64), (), "last"), ((8, 8, 8), (), None), ((8, 14, 14), (), None),
    ((14, 14, 8), (8,), "last"), ((8, 14, 14), (8,), "first"), ((12, 8, 9), (), None),
    ((12, 8, 9), (9,), "last"),
    ((7, 7, 1280), (7,), None), ((5, 6, 5), (5,), None),
    ((49, 1280), (), "last"), ((1280, 49), (1280,), "first"), ((1280, 49), (), None),  # (regions, channels)
    ((36, 2048), (2048,), "last"), ((256, 192), (), None), ((256, 192), (192,), "last"),
    ((768, 197), (), None), ((768, 197), (2048,), None), ((197, 768), (), "last"),  # a grid and a class token
    ((1280, 48), (), None), ((1280, 50), (1280,), "first"), ((1280, 50), (50,), "last"),
])  # fmt: skip
def test_a_layout_is_found_only_where_the_evidence_agrees(
    shape: tuple[int, ...], widths: tuple[int, ...], expected: str | None
) -> None:
    if expected is None:
        with pytest.raises(DataError, match="--layout channels-first or channels-last"):
            find_layout(shape, "x", None, widths)
    else:
        assert find_layout(shape, "x", None, widths) == f"channels-{expected}"
    for given in ("channels-first", "channels-last"):
        assert find_layout(shape, "x", given, widths) == given


def test_the_length_of_features_is_found_in_every_version(tmp_path: Path) -> None:
    features = np.zeros((5, 3), np.float32)
    scipy.io.savemat(tmp_path / "one.mat", {"labels": np.ones((3, 1)), "features": features})
    scipy.io.savemat(tmp_path / "two.mat", {"features": features[:4]}, do_compression=True)
    with h5py.File(tmp_path / "three.mat", "w") as file:
        file["features"] = np.zeros((3, 7))  # in MATLAB 7 x 3
    scipy.io.savemat(tmp_path / "none.mat", {"labels": np.ones((3, 1))})
    (tmp_path / "damaged.mat").write_bytes(b"MATLAB")
    assert features_widths(tmp_path) == {4, 5, 7}


@pytest.mark.parametrize("chunked", [False, True])
def test_files_with_the_channels_last_have_the_same_values(
    tmp_path: Path, write_hdf5: Write, contents: Any, chunked: bool
) -> None:
    first = open_regions(write_hdf5(tmp_path / "first.h5"))
    moved = np.ascontiguousarray(np.moveaxis(contents["feature_map"], 1, -1))
    last = open_regions(
        write_hdf5(
            tmp_path / "last.h5", feature_map=moved, layout={"chunks": (7, 2, 3, 12)} if chunked else None
        )
    )
    assert last.shape == first.shape == (60, 6, 12)
    assert last.describe()["grid"] == [2, 3]
    assert last.sha256 == first.sha256
    np.testing.assert_array_equal(last[np.arange(60)], first[np.arange(60)])
    assert last.verify() == []


def test_an_unclear_file_says_it_itself_or_is_told_by_the_features(
    tmp_path: Path, write_hdf5: Write, write_folder: Write, contents: Any
) -> None:
    small = contents["feature_map"][:, :3]
    folder = write_folder("net", feature_map=small)  # 3 wide
    path = write_hdf5(folder / "mini.h5", feature_map=np.moveaxis(small, 1, -1))
    with pytest.raises(DataError, match="--layout"):
        open_regions(path)
    dataset = read_xlsa17(folder, name="mini", features="net", with_regions=True)
    assert dataset.regions is not None
    np.testing.assert_allclose(dataset.regions[np.arange(60)].mean(axis=1) * 2, dataset.features, rtol=1e-5)
    with h5py.File(path, "a") as file:
        file["feature_map"].attrs["layout"] = "channels-first"
    assert open_regions(path).shape == (60, 3 * 3, 2)


def test_maps_as_matlab_saves_them_are_refused_with_what_to_do(
    tmp_path: Path, write_hdf5: Write, contents: Any
) -> None:
    path = write_hdf5(tmp_path / "a.mat", feature_map=contents["feature_map"].T)
    with pytest.raises(DataError, match=r"images last.*permute"):
        open_regions(path)


def test_imports_of_both_layouts_are_the_same_store(
    tmp_path: Path, write_hdf5: Write, write_folder: Write, contents: Any
) -> None:
    folder = write_folder("net")
    moved = np.moveaxis(contents["feature_map"], 1, -1)
    write_hdf5(tmp_path / "first.h5")
    write_hdf5(tmp_path / "last.h5", feature_map=moved)
    for name, options in (("first", []), ("last", []), ("last", ["--layout", "channels-last", "--force"])):
        words = ["data", "import", str(tmp_path / f"{name}.h5"), "--name", "mini", *options]
        done = CliRunner().invoke(cli, [*words, "--data-root", str(folder.parent)])
        assert done.exit_code == 0, done.output
        assert RegionStore.open(folder / "regions" / name).shape == (60, 6, 12)
    digests = {RegionStore.open(folder / "regions" / name).sha256 for name in ("first", "last")}
    assert len(digests) == 1


def test_a_store_of_an_earlier_version_with_channels_as_regions_is_an_error(
    tmp_path: Path, write_folder: Write, contents: Any
) -> None:
    dataset = read_xlsa17(write_folder("net"), name="mini", features="net")
    for name, grid, faults in (("wrong", [4, 64], 1), ("right", [4, 4], 0)):
        shape = (60, grid[0] * grid[1], 4 if faults else 64)
        provenance = {"grid": grid, "simulated": False}
        with RegionWriter(
            tmp_path / name, shape, "float32", labels=dataset.labels, provenance=provenance
        ) as writer:
            writer.append(np.ones(shape, np.float32))
        found = disagreements(RegionStore.open(tmp_path / name), dataset, dataset.semantics, "x")
        assert len(found) == faults
