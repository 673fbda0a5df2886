"""Folders in the xlsa17 format and region files: brought whole, checked first, found done the second time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from zslbench.data import RegionStore
from zslbench.data.xlsa17 import FolderSource
from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.settings import NoSettings

Run = Callable[..., Any]


def load(root: Path, name: str, **asked: Any) -> Dataset:
    return FolderSource(NoSettings()).load(DataRequest(name, root, **asked))


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """An xlsa17 folder ``Small`` elsewhere, and a region file in the layout of DAZLE."""
    random = np.random.default_rng(1)
    folder = tmp_path / "elsewhere" / "Small"
    folder.mkdir(parents=True)
    labels = random.permutation(np.repeat(np.arange(5), 8))
    place = {one: np.flatnonzero(labels == one) for one in range(5)}
    parts = {
        "trainval": np.concatenate([place[one][:6] for one in range(3)]),
        "test_seen": np.concatenate([place[one][6:] for one in range(3)]),
        "test_unseen": np.concatenate([place[3], place[4]]),
    }
    att = random.random((4, 5)) + 0.1
    names = np.empty((5, 1), dtype=object)
    names[:, 0] = ["ant", "bee", "cat", "dog", "eel"]
    rows = {f"{key}_loc": one[:, None] + 1 for key, one in parts.items()}
    scipy.io.savemat(folder / "att_splits.mat", {"att": att, "allclasses_names": names, **rows})
    features = random.normal(size=(6, 40))
    scipy.io.savemat(folder / "res101.mat", {"features": features, "labels": labels[:, None] + 1})
    (folder / "testclasses.txt").write_text("dog\neel\n")
    (folder / "notes.pdf").write_bytes(b"not a part of it")
    (folder / "images" / "a").mkdir(parents=True)
    (folder / "images" / "a" / "one.jpg").write_bytes(b"picture")
    with h5py.File(folder.parent / "Small_net.hdf5", "w") as file:
        values = random.integers(0, 200, (40, 6, 2, 2)).astype(np.uint8)
        file.create_dataset("feature_map", data=values, chunks=(4, 6, 2, 2), compression="gzip")
        file["feature_map"].attrs["scale"] = 0.5
        file["labels"] = labels
        file["att"] = att.T.astype(np.float32)
        for key, one in parts.items():
            file[f"{key}_loc"] = one
        file["image_files"] = [f"x/{names[label, 0]}/{row}.jpg" for row, label in enumerate(labels)]
    return folder


def test_a_folder_is_copied_and_recorded(theirs: Path, run: Run, root: Path) -> None:
    result = run(theirs, "--name", "mine")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("mine: 40 images of 5 classes; 4 files, in")
    found = {str(one.relative_to(root / "mine")) for one in (root / "mine").rglob("*") if one.is_file()}
    assert found == {"att_splits.mat", "res101.mat", "testclasses.txt", "images/a/one.jpg", "sources.json"}
    for one in found - {"sources.json"}:
        assert (root / "mine" / one).read_bytes() == (theirs / one).read_bytes()
        assert not (root / "mine" / one).is_symlink()
    np.testing.assert_array_equal(load(root, "mine").features, load(theirs.parent, "small").features)
    again = run(theirs, "--name", "mine")
    assert (again.exit_code, "mine: already there" in again.stdout) == (0, True)


def test_a_folder_may_be_linked(theirs: Path, run: Run, root: Path) -> None:
    assert run(theirs, "--link").exit_code == 0
    assert (root / "Small" / "res101.mat").is_symlink() and (root / "Small" / "images").is_symlink()
    assert load(root, "small").features.shape == (40, 6)
    assert "already there" in run(theirs, "--link").stdout
    assert run(theirs, "--force").exit_code == 0  # copies in place of the links
    assert not (root / "Small" / "res101.mat").is_symlink() and not (root / "Small" / "images").is_symlink()
    assert (theirs / "images" / "a" / "one.jpg").is_file()


def test_other_content_is_refused(theirs: Path, run: Run, root: Path) -> None:
    assert run(theirs).exit_code == 0
    changed = scipy.io.loadmat(theirs / "res101.mat")
    scipy.io.savemat(
        theirs / "res101.mat", {"features": changed["features"] * 2, "labels": changed["labels"]}
    )
    before = (root / "Small" / "res101.mat").read_bytes()
    refused = run(theirs)
    assert refused.exit_code == 1
    assert "other content: res101.mat" in refused.stderr
    assert (root / "Small" / "res101.mat").read_bytes() == before
    assert run(theirs, "--force").exit_code == 0
    assert (root / "Small" / "res101.mat").read_bytes() == (theirs / "res101.mat").read_bytes()


def test_all_faults_of_all_files(theirs: Path, run: Run, root: Path) -> None:
    good = scipy.io.loadmat(theirs / "res101.mat")
    features = good["features"].copy()
    features[0, 3] = np.nan
    scipy.io.savemat(theirs / "other.mat", {"features": features, "labels": good["labels"]})
    (theirs / "testclasses.txt").write_text("dog\ncat\n")
    result = run(theirs)
    assert result.exit_code == 1
    assert "features: 1 NaN" in result.stderr
    assert "testclasses.txt" in result.stderr and "2 classes" in result.stderr
    assert not (root / "Small").exists()


def test_official_names_mean_official_counts(theirs: Path, run: Run, root: Path) -> None:
    result = run(theirs, "--name", "cub")
    assert (result.exit_code, "40 images, officially 11788" in result.stderr) == (1, True)
    assert not (root / "CUB").exists()


def test_a_change_during_the_copy(
    theirs: Path, run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.copyfile

    def cut(source: Any, to: Any, **how: Any) -> Any:
        real(source, to, **how)
        if Path(to).name == "res101.mat":
            Path(to).write_bytes(Path(to).read_bytes()[:-1])
        return to

    monkeypatch.setattr(shutil, "copyfile", cut)
    result = run(theirs)
    assert (result.exit_code, "changed while" in result.stderr) == (1, True)
    assert not (root / "Small").exists()


def test_a_folder_below_the_root_stays(theirs: Path, run: Run, root: Path) -> None:
    shutil.copytree(theirs, root / "Small")
    result = run(root / "Small")
    assert (result.exit_code, "already below" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("dtype", "stored"), [("keep", "uint8"), ("float16", "float16"), ("float32", "float32")]
)
def test_regions(theirs: Path, run: Run, root: Path, dtype: str, stored: str) -> None:
    assert run(theirs).exit_code == 0
    result = run(theirs.parent / "Small_net.hdf5", "--dtype", dtype)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("small: regions/net: 40 x 4 x 6 ")
    store = RegionStore.open(root / "Small" / "regions" / "net")
    assert (store.dtype.name, store.scale) == (stored, 0.5 if dtype == "keep" else None)
    with h5py.File(theirs.parent / "Small_net.hdf5") as file:
        expected = file["feature_map"][()].reshape(40, 6, 4).transpose(0, 2, 1) * np.float32(0.5)
        files = [one.decode() for one in file["image_files"]]
    np.testing.assert_array_equal(store[np.arange(40)], expected)
    assert store.image_files == tuple(files)
    assert (store.verify(), store.provenance["grid"]) == ([], [2, 2])
    dataset = load(root, "small", needs_regions=True)
    assert dataset.regions is not None and dataset.features_name == "res101"
    times = {one: one.stat().st_mtime_ns for one in store.folder.iterdir()}
    again = run(theirs.parent / "Small_net.hdf5", "--dtype", dtype)
    assert (again.exit_code, "regions/net" in again.stdout) == (0, True)
    assert {one: one.stat().st_mtime_ns for one in store.folder.iterdir()} == times
    other = "float16" if dtype == "keep" else "keep"
    assert run(theirs.parent / "Small_net.hdf5", "--dtype", other).exit_code == 1
    assert run(theirs.parent / "Small_net.hdf5", "--dtype", other, "--force").exit_code == 0
    assert RegionStore.open(store.folder).dtype.name != stored


@pytest.mark.parametrize("name", ["../../../pwn", "/tmp/pwn", "-net", "a/b", ".net"])
def test_regions_stay_in_their_folder(theirs: Path, run: Run, root: Path, name: str) -> None:
    assert run(theirs).exit_code == 0
    before = sorted(root.rglob("*"))
    result = run(theirs.parent / "Small_net.hdf5", f"--regions-name={name}")
    assert result.exit_code == 2 and f"--regions-name {name}" in result.stderr
    assert sorted(root.rglob("*")) == before
    path = theirs.parent / f"Small_{name.replace('/', '_')}.hdf5"  # the name may come from the file, too
    (theirs.parent / "Small_net.hdf5").rename(path)
    assert run(path).exit_code == (0 if name in ("/tmp/pwn", "a/b") else 2)


def test_a_pipe_among_the_files_is_named(theirs: Path, run: Run, root: Path) -> None:
    os.mkfifo(theirs / "allclasses.txt")
    result = run(theirs)
    assert result.exit_code == 1 and "allclasses.txt: is a named pipe" in result.stderr
    assert not (root / "Small").exists()


def test_regions_of_another_order_are_refused(theirs: Path, run: Run, root: Path) -> None:
    assert run(theirs).exit_code == 0
    path = theirs.parent / "Small_net.hdf5"
    with h5py.File(path, "r+") as file:
        file["att"][...] = file["att"][()][:, ::-1]
        file["trainval_loc"][...] = file["trainval_loc"][()] + 1
        file["labels"][...] = (file["labels"][()] + 1) % 5
    result = run(path)
    assert result.exit_code == 1
    for fault in ("class order differs", "attribute order differs", "counts images from 1"):
        assert fault in result.stderr
    assert not (root / "Small" / "regions").exists()


def test_regions_are_not_compared_with_a_faulty_data_set(theirs: Path, run: Run, root: Path) -> None:
    """Class lists that contradict the split may mean another order of classes."""
    assert run(theirs).exit_code == 0
    (root / "Small" / "testclasses.txt").write_text("dog\ncat\n")
    result = run(theirs.parent / "Small_net.hdf5")
    assert result.exit_code == 1
    assert "testclasses.txt" in result.stderr and "2 classes (cat, eel)" in result.stderr
    assert not (root / "Small" / "regions").exists()


def test_unusable_values_are_counted_through_the_file(
    theirs: Path, run: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zslbench.data.regions import hdf5

    monkeypatch.setattr(hdf5, "BLOCK_BYTES", 1)
    assert run(theirs).exit_code == 0
    path = theirs.parent / "Small_net.hdf5"
    with h5py.File(path, "r+") as file:
        values = file["feature_map"][()].astype(np.float32)
        values[7, 2, 1, 1], values[31, 0, 0, 0], values[39, 1, 1, 0] = np.nan, np.inf, 1e5
        del file["feature_map"]
        file["feature_map"] = values
    result = run(path)
    assert "2 images" in result.stderr and "(row 7)" in result.stderr
    result = run(path, "--dtype", "float16")
    assert "3 images" in result.stderr and "float16 (row 7)" in result.stderr
    assert not (root / "Small" / "regions").exists()


def test_a_region_file_can_be_a_data_set_of_its_own(theirs: Path, run: Run, root: Path) -> None:
    path = theirs.parent / "Small_net.hdf5"
    result = run(path)
    assert (result.exit_code, "pass --name" in result.stderr) == (2, True)
    result = run(path, "--name", "fresh")
    assert result.exit_code == 0, result.stderr
    dataset = load(root, "fresh", needs_regions=True)
    assert dataset.class_names == ("ant", "bee", "cat", "dog", "eel")
    given = load(theirs.parent, "small")
    np.testing.assert_array_equal(dataset.labels, given.labels)
    np.testing.assert_array_equal(dataset.semantics, given.semantics)
    for part in ("trainval", "test_seen", "test_unseen"):
        np.testing.assert_array_equal(getattr(dataset.split, part), getattr(given.split, part))
    result = run(path, "--name", "sun")
    assert (result.exit_code, "zslbench data get sun" in result.stderr) == (1, True)


def test_another_region_file_is_reported(theirs: Path, run: Run, root: Path) -> None:
    assert run(theirs).exit_code == 0
    shutil.copy(theirs.parent / "Small_net.hdf5", root / "Small" / "Small_net.hdf5")
    result = run(root / "Small" / "Small_net.hdf5", "--regions-name", "copy")
    assert "Small_net.hdf5" in result.stderr and "--regions copy" in result.stderr
    assert load(root, "small", regions="copy").regions is not None


@pytest.mark.parametrize("what", ["nothing", "folder", "text"])
def test_sources_that_cannot_be_imported(tmp_path: Path, run: Run, what: str) -> None:
    path = tmp_path / "thing"
    if what == "folder":
        path.mkdir()
    elif what == "text":
        path.write_text("hello")
    result = run(path, "--name", "x")
    assert result.exit_code in (1, 2)
    assert len([one for one in result.stderr.splitlines() if one.startswith("Error")]) == 1


def test_real_folder_and_regions(real_data: Path, run: Run, root: Path) -> None:
    result = run(real_data / "xlsa17" / "AWA2mini")
    assert result.exit_code == 0, result.stderr
    result = run(real_data / "region_features" / "AWA2mini_mobilenet_v2.hdf5")
    assert result.exit_code == 0, result.stderr
    dataset = load(root, "awa2mini", regions="mobilenet_v2", features="mobilenet_v2")
    assert dataset.regions is not None and dataset.regions.shape == (747, 49, 1280)
    given = load(real_data / "xlsa17", "awa2mini", features="mobilenet_v2")
    np.testing.assert_array_equal(dataset.features, given.features)
    means = dataset.regions[np.arange(20)].mean(axis=1)
    assert np.abs(means - given.features[:20]).max() < 0.08


@pytest.mark.parametrize("evidence", ["labels", "w2v_att"])
def test_a_region_file_with_transposed_attributes(theirs: Path, run: Run, root: Path, evidence: str) -> None:
    path = theirs.parent / "Small_net.hdf5"
    with h5py.File(path, "a") as file:
        att = np.random.default_rng(0).random((5, 9 if evidence == "labels" else 3)).astype(np.float32)
        del file["att"]
        file["att"] = np.ascontiguousarray(att.T)
        if evidence == "w2v_att":
            file["w2v_att"] = np.ones((3, 2), dtype=np.float32)
    result = run(path, "--name", "Small")
    assert result.exit_code == 1
    assert "transposed?" in result.stderr and evidence in result.stderr
    assert not (root / "Small").exists()
