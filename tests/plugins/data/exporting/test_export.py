"""What is exported reads back the same, through our readers and as other people's code reads it."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as parquet
import pytest
import scipy.io
from click.testing import CliRunner

from zslbench.cli.main import cli
from zslbench.data.regions.find import open_regions
from zslbench.data.xlsa17 import FolderSource
from zslbench.errors import DataError, MissingData, UnknownName
from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.settings import NoSettings
from zslbench_data.exporting.export import METADATA, export, grid


def load(root: Path, name: str = "mine", **asked: object) -> Dataset:
    return FolderSource(NoSettings()).load(DataRequest(name, root, **asked))  # type: ignore[arg-type]


def same(one: Dataset, other: Dataset) -> None:
    np.testing.assert_array_equal(one.features, other.features)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.semantics, other.semantics)
    assert one.class_names == other.class_names
    for part in ("trainval", "test_seen", "test_unseen", "validation_classes"):
        np.testing.assert_array_equal(getattr(one.split, part), getattr(other.split, part))


@pytest.mark.parametrize("semantics", ["att", "original_att", "sentence"])
def test_xlsa17_reads_back_the_same(root: Path, tmp_path: Path, semantics: str) -> None:
    before = load(root, semantics=semantics)
    done = export("mine", "xlsa17", tmp_path / "out" / "Mine", root, semantics=semantics)
    after = load(tmp_path / "out")
    same(before, after)
    assert all(one.is_file() for one in done.files)
    names = [one.name for one in done.files]
    assert names[-1] == "att_splits.mat"
    assert ("attribute_vectors.npy" in names) is (semantics != "sentence")


def test_xlsa17_as_other_code_reads_it(root: Path, tmp_path: Path) -> None:
    export("mine", "xlsa17", tmp_path / "Mine", root)
    theirs = scipy.io.loadmat(root / "Mine" / "att_splits.mat")
    ours = scipy.io.loadmat(tmp_path / "Mine" / "att_splits.mat")
    for key in theirs:
        if not key.startswith("__"):
            np.testing.assert_array_equal(ours[key].shape, theirs[key].shape)
    for key in ("trainval_loc", "test_seen_loc", "test_unseen_loc"):
        np.testing.assert_array_equal(ours[key], theirs[key])
    np.testing.assert_allclose(ours["original_att"], theirs["original_att"], rtol=1e-6)
    assert ours["allclasses_names"][3, 0][0] == "Class 3 ü"
    images = scipy.io.loadmat(tmp_path / "Mine" / "res101.mat")
    rows = ours["trainval_loc"].squeeze() - 1  # the field's usual lines: they must be usable as indices
    labels = images["labels"].astype(int).squeeze() - 1
    assert images["features"].T[rows].shape == (19, 8)
    assert set(labels[rows]) == set(range(5))
    assert images["image_files"][0, 0][0].startswith("/far/away/class_")
    assert (tmp_path / "Mine" / "attribute_names.txt").read_text().splitlines()[1] == "has_thing::1"


def test_hdf5_reads_back_the_same(root: Path, tmp_path: Path) -> None:
    before = load(root, needs_regions=True)
    assert before.regions is not None
    path = tmp_path / "out.hdf5"
    export("mine", "hdf5", path, root)
    after = open_regions(path)
    rows = np.arange(len(before.labels))
    np.testing.assert_array_equal(after[rows], before.regions[rows])
    np.testing.assert_array_equal(after.labels, before.labels)
    for part in ("trainval", "test_seen", "test_unseen"):
        np.testing.assert_array_equal(after.companions[part], getattr(before.split, part))
    np.testing.assert_array_equal(after.companions["att"], before.semantics)
    np.testing.assert_array_equal(after.companions["attribute_vectors"], before.attribute_vectors)
    assert after.image_files is not None and after.image_files == before.image_files
    assert after.provenance["grid"] == [2, 3]
    with h5py.File(root / "Mine" / "net.hdf5") as given, h5py.File(path) as file:
        values = given["feature_map"][()].astype(np.float32) * np.float32(0.25)
        np.testing.assert_array_equal(file["feature_map"][()], values)
        assert (file["feature_map"].dtype, file["feature_map"].chunks) == (np.dtype("<f4"), None)
        assert file["original_att"].shape == (7, 5)
    # The exported file serves the data set in place of the original.
    shutil.move(path, root / "Mine" / "net.hdf5")
    again = load(root, needs_regions=True)
    same(before, again)


def test_parquet(root: Path, tmp_path: Path) -> None:
    dataset = load(root)
    export("mine", "arrow", tmp_path / "a.parquet", root)
    table = parquet.read_table(tmp_path / "a.parquet")
    about = json.loads(table.schema.metadata[METADATA])
    assert about["class_names"] == list(dataset.class_names)
    assert about["attribute_names"] == [f"has_thing::{one}" for one in range(5)]
    assert about["validation_classes"] == [1, 4]
    columns = table.to_pydict()
    np.testing.assert_array_equal(columns["label"], dataset.labels)
    assert columns["class_name"] == [dataset.class_names[one] for one in dataset.labels]
    np.testing.assert_array_equal(
        np.array(columns["attributes"], np.float32), dataset.semantics[dataset.labels]
    )
    parts = np.array([one or "none" for one in columns["part"]])
    for part in ("trainval", "test_seen", "test_unseen"):
        assert set(np.flatnonzero(parts == part)) == set(getattr(dataset.split, part))
    assert list(parts).count("none") == 1
    assert columns["image_file"][4].endswith("/4.jpg")


def test_parquet_needs_no_features(root: Path, tmp_path: Path) -> None:
    images = scipy.io.loadmat(root / "Mine" / "res101.mat")
    scipy.io.savemat(root / "Mine" / "labels.mat", {key: images[key] for key in ("labels", "image_files")})
    (root / "Mine" / "res101.mat").unlink()
    export("mine", "arrow", tmp_path / "a.parquet", root, semantics="original_att")
    columns = parquet.read_table(tmp_path / "a.parquet").to_pydict()
    assert columns["image_file"][4].endswith("/4.jpg")
    assert max(max(one) for one in columns["attributes"]) > 10
    with pytest.raises(MissingData):
        export("mine", "xlsa17", tmp_path / "out", root)


def test_simulated_data_stay_marked(tmp_path: Path) -> None:
    export("toy", "hdf5", tmp_path / "toy.hdf5", tmp_path)
    assert open_regions(tmp_path / "toy.hdf5").simulated
    export("toy", "xlsa17", tmp_path / "toy", tmp_path)
    assert (tmp_path / "toy" / "simulated.mat").is_file()
    export("toy", "arrow", tmp_path / "toy.parquet", tmp_path)
    metadata = parquet.read_schema(tmp_path / "toy.parquet").metadata
    assert json.loads(metadata[METADATA])["simulated"] is True


@pytest.mark.parametrize(
    ("layout", "name"), [("xlsa17", "out"), ("hdf5", "out.h5"), ("arrow", "out.parquet")]
)
def test_nothing_is_replaced_without_force(root: Path, tmp_path: Path, layout: str, name: str) -> None:
    arguments = [
        "data",
        "export",
        "mine",
        "--to",
        layout,
        "-o",
        str(tmp_path / name),
        "--data-root",
        str(root),
    ]
    first = CliRunner().invoke(cli, arguments)
    assert first.exit_code == 0, first.stderr
    assert first.stdout.startswith(f"wrote {tmp_path / name}")
    times = {one: one.stat().st_mtime_ns for one in [tmp_path / name, *tmp_path.rglob("*.mat")]}
    second = CliRunner().invoke(cli, arguments)
    assert (second.exit_code, "--force" in second.stderr) == (1, True)
    assert all(one.stat().st_mtime_ns == when for one, when in times.items())
    assert CliRunner().invoke(cli, [*arguments, "--force"]).exit_code == 0
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("layout", ["xlsa17", "hdf5", "arrow"])
def test_a_full_disk_is_an_error_before_writing(
    root: Path, tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 1000))
    with pytest.raises(DataError, match="nothing was written"):
        export("mine", layout, tmp_path / "out", root)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_missing_inputs(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="mine"):
        export("mnie", "arrow", tmp_path / "out", root)
    (root / "Mine" / "net.hdf5").unlink()
    with pytest.raises(MissingData, match="no region features"):
        export("mine", "hdf5", tmp_path / "out", root)
    assert not (tmp_path / "out").exists()


def test_grid() -> None:
    assert grid(49, None, "x") == (7, 7)
    assert grid(6, None, "x") == (1, 6)
    assert grid(6, [3, 2], "x") == (3, 2)
    with pytest.raises(DataError, match="7 regions"):
        grid(7, [3, 2], "x")


def test_real_features_read_back_the_same(real_data: Path, tmp_path: Path) -> None:
    root = real_data / "xlsa17"
    name, stem = "awa2mini", "mobilenet_v2"
    before = load(root, name, features=stem)
    export(name, "xlsa17", tmp_path / "AWA2mini", root, features=stem)
    same(before, load(tmp_path, name, features=stem))
    export(name, "hdf5", tmp_path / "AWA2mini.hdf5", root, regions="mobilenet_v2")
    back = open_regions(tmp_path / "AWA2mini.hdf5")
    with h5py.File(real_data / "region_features" / "AWA2mini_mobilenet_v2.hdf5") as file:
        scale = np.float32(file["feature_map"].attrs["scale"])
        values = file["feature_map"][300:310].astype(np.float32) * scale
        np.testing.assert_array_equal(back.labels, file["labels"][()])
        np.testing.assert_array_equal(back.companions["attribute_vectors"], file["w2v_att"][()])
    got = back[np.arange(300, 310)].swapaxes(1, 2).reshape(10, 1280, 7, 7)
    np.testing.assert_array_equal(got, values)
