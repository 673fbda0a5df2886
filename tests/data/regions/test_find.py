"""Where region features are searched for, and the messages if there are none or several."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from zslbench.data import RegionWriter
from zslbench.data.regions.find import find_regions, region_files
from zslbench.errors import DataError, MissingData, UnknownName


def hdf5(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["feature_map"] = np.zeros((2, 3, 1, 1), dtype=np.float32)
    return path


def store(path: Path) -> Path:
    with RegionWriter(path, (2, 1, 3), "float16", labels=np.zeros(2, dtype=np.int64)) as writer:
        writer.append(np.zeros((2, 1, 3), dtype=np.float16))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``<tmp>/data/xlsa17/CUB``."""
    made = tmp_path / "data" / "xlsa17" / "CUB"
    made.mkdir(parents=True)
    return made


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (hdf5, "xlsa17/CUB/anything.h5"),
        (hdf5, "xlsa17/CUB/feature_map_ResNet_101_CUB.hdf5"),
        (store, "xlsa17/CUB/my-store"),
        (hdf5, "xlsa17/CUB/regions/anything.hdf5"),
        (store, "xlsa17/CUB/regions/other"),
        (hdf5, "xlsa17/region_features/CUB_vit.hdf5"),
        (hdf5, "region_features/cub_vit.hdf5"),
        (store, "region_features/CUB_vit"),
        (store, "region_features/CUB"),
        (hdf5, "region_features/feature_map_ResNet_101_CUB.hdf5"),
    ],
)
def test_places(folder: Path, make: Callable[[Path], Path], where: str) -> None:
    made = make(folder.parent.parent / where)
    others = ("region_features/CUB2010_vit.hdf5", "region_features/SUN_vit.hdf5", "region_features/vit.hdf5")
    for other in others:
        hdf5(folder.parent.parent / other)
    assert find_regions(folder) == made


def test_shared_folders_of_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = hdf5(folder.parent / "region_features" / "CUB_vit.hdf5")
    monkeypatch.chdir(folder.parent)
    assert region_files(Path("CUB")) == [made]
    made.rename(hdf5(folder.parent.parent / "region_features" / "CUB_vit.hdf5"))
    assert region_files(Path("CUB")) == [folder.parent.parent / "region_features" / "CUB_vit.hdf5"]


def test_files_that_are_not_region_features(folder: Path) -> None:
    (folder / "notes.txt").touch()
    (folder / "damaged.hdf5").write_bytes(b"no HDF5")
    (folder / "plain").mkdir()
    with h5py.File(folder / "other.hdf5", "w") as file:
        file["features"] = np.zeros(3)
    store(folder / "done")
    shutil.move(folder / "done", folder / ".done.1234.part")  # as a killed writer leaves it
    assert region_files(folder) == []
    with pytest.raises(MissingData) as caught:
        find_regions(folder, advice="Get it there")
    message = str(caught.value)
    for part in ("no region features", "feature_map_ResNet_101_CUB.hdf5", "CUB_*.hdf5", "Get it there"):
        assert part in message
    for place in (
        folder,
        folder / "regions",
        folder.parent / "region_features",
        folder.parents[1] / "region_features",
    ):
        assert str(place) in message
    assert "\n" not in message


def test_of_several_one_must_be_named(folder: Path) -> None:
    first, second = hdf5(folder / "resnet.hdf5"), hdf5(folder.parents[1] / "region_features" / "CUB_vit.h5")
    with pytest.raises(DataError, match=r"several region features: resnet, CUB_vit\. Pass --regions resnet"):
        find_regions(folder)
    for name in ("resnet", "RESNET", "resnet.hdf5"):
        assert find_regions(folder, name) == first
    for name in ("CUB_vit", "cub_vit.h5", "vit"):
        assert find_regions(folder, name) == second
    with pytest.raises(UnknownName, match=r"no region features 'resnt', did you mean 'resnet'"):
        find_regions(folder, "resnt")


def test_equal_names_are_distinguished(folder: Path) -> None:
    one, other = hdf5(folder / "x.hdf5"), hdf5(folder / "x.h5")
    third = hdf5(folder / "regions" / "x.h5")
    with pytest.raises(DataError) as caught:
        find_regions(folder)
    for name, path in (("x.hdf5", one), (str(other), other), (str(third), third)):
        assert name in str(caught.value)
        assert find_regions(folder, name) == path


def test_paths_to_others(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hdf5(folder / "own.hdf5")
    elsewhere, made = hdf5(tmp_path / "elsewhere" / "x.h5"), store(tmp_path / "elsewhere" / "made")
    assert find_regions(folder, str(elsewhere)) == elsewhere
    assert find_regions(folder, str(made)) == made
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert find_regions(folder, "x.h5") == Path("x.h5")
    with pytest.raises(MissingData, match=r"nowhere/x\.h5: no such region store or file"):
        find_regions(folder, "nowhere/x.h5")
    with pytest.raises(DataError, match=r"store\.json"):
        find_regions(folder, str(tmp_path / "elsewhere"))
