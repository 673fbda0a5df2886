"""Custom sets: an import reads back as in the files, and all faults of the files are reported at once."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

from zslbench.cli.main import cli
from zslbench.data import RegionStore, list_images, read_without_features
from zslbench.data.locations import dataset_folders
from zslbench.data.xlsa17 import FolderSource
from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.settings import NoSettings
from zslbench_data.importing import custom_write

PARTS = ("trainval", "test_seen", "test_unseen")


def load(root: Path, name: str = "zoo", **asked: Any) -> Dataset:
    return FolderSource(NoSettings()).load(DataRequest(name, root, **asked))


def custom(files: Any, split: str = "rows.csv", *more: object) -> list[object]:
    return [
        "--name",
        "Zoo",
        "--attributes",
        files.folder / "attributes.csv",
        "--split",
        files.folder / split,
        *more,
    ]


def check_truth(files: Any, dataset: Dataset, names: list[str]) -> None:
    """Classes, attributes and parts of these images are those of the files."""
    assert [dataset.class_names[one] for one in dataset.labels] == [one[:3] for one in names]
    for name, row in zip(dataset.class_names, dataset.semantics, strict=True):
        unit = files.values[name] / np.sqrt((files.values[name] ** 2).sum())
        np.testing.assert_allclose(row, unit, rtol=1e-6)
    found = {names[row]: part for part in PARTS for row in getattr(dataset.split, part)}
    assert found == {one: files.part[one] for one in names}


def test_features_and_regions(files: Any, run: Callable[..., Any], root: Path) -> None:
    regions = files.folder / "grid.npy"
    result = run(files.folder / "own.npy", *custom(files, "rows.csv", "--regions", regions))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("zoo: 42 images of 7 classes (trainval 20, test_seen 10, test_unseen 12)")
    assert "zslbench data get vectors --dataset zoo" in result.stdout
    dataset = load(root)
    assert dataset.features_name == "own"
    check_truth(files, dataset, files.names)
    np.testing.assert_array_equal(dataset.features, files.features)
    assert set(dataset.class_names) == set(files.values)
    both = load(root, needs_regions=True, features="own")
    assert both.regions is not None and both.attribute_names == tuple(f"has part::{one}" for one in range(4))
    np.testing.assert_array_equal(both.regions[np.arange(42)], files.regions)
    assert both.regions.companions["original_att"].max() > 1  # type: ignore[attr-defined]
    original = scipy.io.loadmat(root / "Zoo" / "att_splits.mat")["original_att"]
    np.testing.assert_array_equal(original.T, [files.values[one] for one in dataset.class_names])


def test_lines_are_rows_in_order(files: Any, run: Callable[..., Any], root: Path) -> None:
    lines = (files.folder / "rows.csv").read_text().splitlines()
    rest = [one.partition(",")[2] for one in lines[1:]]
    files.csv("plain.csv", ["image,class,part", *(f"x/{k}.jpg,{one}" for k, one in enumerate(rest))])
    assert run(files.folder / "own.npy", *custom(files, "plain.csv")).exit_code == 0
    check_truth(files, load(root), files.names)
    # Shuffled lines with a column row say the same.
    files.csv("rows.csv", [lines[0], *np.random.default_rng(1).permutation(lines[1:]).tolist()])
    assert run(files.folder / "own.npy", *custom(files), "--force").exit_code == 0
    check_truth(files, load(root), files.names)


def test_an_image_folder_waits_for_features(files: Any, run: Callable[..., Any], root: Path) -> None:
    result = run(files.folder / "photos", *custom(files, "images.csv"))
    assert result.exit_code == 0, result.stderr
    assert "zslbench data extract zoo\n" in result.stdout
    described = read_without_features(root / "Zoo")
    assert described is not None
    images = scipy.io.loadmat(root / "Zoo" / "att_splits.mat")["image_files"]
    names = [str(one[0][0]) for one in images]
    assert names == sorted(files.names)
    assert [described.class_names[one] for one in described.labels] == [one[:3] for one in names]
    for part in PARTS:
        rows = getattr(described.split, part)
        assert {names[one] for one in rows} == {one for one in names if files.part[one] == part}
    for one in names:
        assert (root / "Zoo" / "images" / one).read_bytes() == f"picture {one}".encode()


def test_extraction_finds_the_images(files: Any, run: Callable[..., Any], root: Path) -> None:
    assert run(files.folder / "photos", *custom(files, "images.csv"), "--link").exit_code == 0
    found = list_images(root / "Zoo")
    assert list(found.names) == sorted(files.names)
    assert [one.read_bytes() for one in found.paths] == [f"picture {one}".encode() for one in found.names]


def test_a_split_of_classes(files: Any, run: Callable[..., Any], root: Path) -> None:
    labels = files.folder / "labels.csv"
    arguments = (files.folder / "own.npy", *custom(files, "classes.csv", "--labels", labels))
    assert run(*arguments).exit_code == 0
    dataset = load(root)
    split = dataset.split
    of = [dataset.class_names[one] for one in dataset.labels]
    assert {of[one] for one in split.test_unseen} == {"cat", "fox"}
    assert len(split.test_unseen) == 12
    seen = [of[one] for one in split.test_seen]
    assert sorted(seen) == ["ant", "bee", "dog", "eel", "gnu"]  # a fifth of six, rounded
    assert len(split.trainval) == 25 and len({*split.trainval, *split.test_seen, *split.test_unseen}) == 42
    assert split.validation_classes is not None
    assert [dataset.class_names[one] for one in split.validation_classes] == ["dog"]
    before = split.test_seen.tolist()
    assert run(*arguments, "--force", "--seed", "0").exit_code == 0
    assert load(root).split.test_seen.tolist() == before
    assert run(*arguments, "--force", "--seed", "1").exit_code == 0
    assert load(root).split.test_seen.tolist() != before


def test_an_image_folder_with_a_split_of_classes(files: Any, run: Callable[..., Any], root: Path) -> None:
    assert run(files.folder / "photos", *custom(files, "classes.csv")).exit_code == 0
    described = read_without_features(root / "Zoo")
    assert described is not None and len(described.split.trainval) == 25


@pytest.mark.parametrize(("given", "dtype", "stored"), [
    ("float64", "keep", "float32"), ("float16", "keep", "float16"), ("float32", "float16", "float16"),
    ("uint8", "keep", "uint8"), ("uint8", "float32", "float32"),
])  # fmt: skip
def test_region_arrays_of_a_map(
    files: Any, run: Callable[..., Any], root: Path, given: str, dtype: str, stored: str
) -> None:
    values = (np.random.default_rng(0).random((42, 3, 2, 5)) * 200).astype(given)  # images, channels, h, w
    np.save(files.folder / "map.npy", values)
    result = run(files.folder / "map.npy", *custom(files), "--dtype", dtype, "--regions-name", "net")
    assert (result.exit_code, result.stderr.count("--layout")) == (1, 1)  # 3 or 5 channels?
    result = run(
        files.folder / "map.npy", *custom(files), "--dtype", dtype, "--regions-name", "net",
        "--layout", "channels-first",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    store = RegionStore.open(root / "Zoo" / "regions" / "net")
    assert (store.dtype.name, store.provenance["grid"], store.verify()) == (stored, [2, 5], [])
    expected = values.astype(stored).reshape(42, 3, 10).transpose(0, 2, 1).astype(np.float32)
    np.testing.assert_array_equal(store[np.arange(42)], expected)
    check_truth(files, load(root, needs_regions=True), files.names)


def test_the_same_again_is_found_done(files: Any, run: Callable[..., Any], root: Path) -> None:
    arguments = (files.folder / "own.npy", *custom(files, "rows.csv", "--regions", files.folder / "grid.npy"))
    assert run(*arguments).exit_code == 0
    times = {one: one.stat().st_mtime_ns for one in (root / "Zoo").rglob("*")}
    again = run(*arguments)
    assert (again.exit_code, "already there" in again.stdout) == (0, True)
    assert {one: one.stat().st_mtime_ns for one in (root / "Zoo").rglob("*")} == times
    np.save(files.folder / "own.npy", files.features + 1)
    refused = run(*arguments)
    assert (refused.exit_code, "another data set" in refused.stderr) == (1, True)
    np.testing.assert_array_equal(load(root, features="own").features, files.features)
    assert run(*arguments, "--force").exit_code == 0
    np.testing.assert_array_equal(load(root, features="own").features, files.features + 1)
    assert len(refused.stderr.strip().splitlines()) >= 1
    for name in ("own.mat", "regions/grid/regions.npy", "regions/grid/store.json"):  # not believed unread
        whole = (root / "Zoo" / name).read_bytes()
        (root / "Zoo" / name).write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
        changed = run(*arguments)
        assert (
            changed.exit_code,
            name.removesuffix("/regions.npy").removesuffix("/store.json") in changed.stderr,
        ) == (1, True)
        assert "--force" in changed.stderr
        assert run(*arguments, "--force").exit_code == 0
        assert (root / "Zoo" / name).read_bytes() == whole
    (root / "Zoo" / "own.mat").unlink()  # what was lost is made again
    assert run(*arguments).exit_code == 0
    assert (root / "Zoo" / "own.mat").is_file()


def test_force_leaves_nothing_of_the_old_import(files: Any, run: Callable[..., Any], root: Path) -> None:
    assert run(files.folder / "own.npy", *custom(files)).exit_code == 0
    (root / "Zoo" / "mine.txt").write_text("keep me")
    assert run(files.folder / "grid.npy", *custom(files), "--force").exit_code == 0
    left = sorted(one.name for one in (root / "Zoo").iterdir())
    assert left == ["att_splits.mat", "attribute_names.txt", "mine.txt", "regions", "sources.json"]


def test_equal_files_give_equal_bytes(files: Any, run: Callable[..., Any], root: Path) -> None:
    arguments = (files.folder / "own.npy", *custom(files, "rows.csv", "--regions", files.folder / "grid.npy"))

    def contents() -> dict[str, bytes]:
        found = [one for one in (root / "Zoo").rglob("*") if one.is_file()]
        return {str(one.relative_to(root)): one.read_bytes() for one in found}

    assert run(*arguments).exit_code == 0
    before = contents()
    assert run(*arguments, "--force").exit_code == 0
    (root / "Zoo").rename(root.parent / "old")
    assert run(*arguments).exit_code == 0
    assert contents() == before
    sources = json.loads(before["Zoo/sources.json"])
    assert sources["files"]["own.mat"]["archive"] == "own.npy"
    assert str(files.folder) not in before["Zoo/sources.json"].decode()


def broken(files: Any) -> None:
    """Every kind of fault that can stand beside others."""
    lines = (files.folder / "attributes.csv").read_text().splitlines()
    lines[1] = "gnu,0,0,0,0"
    lines[2] = "bee,1,2,3,4"
    files.csv("attributes.csv", [*lines[:3], "bee,1,1,1,1", *lines[4:]])  # ant is gone, bee stands twice
    rows = (files.folder / "rows.csv").read_text().splitlines()
    rows[3] = rows[3].rpartition(",")[0] + ",training"
    files.csv("rows.csv", rows)
    values = files.features.copy()
    values[4, 1], values[7, 2] = np.nan, np.inf
    np.save(files.folder / "own.npy", values)


def test_every_fault_at_once(files: Any, run: Callable[..., Any], root: Path) -> None:
    broken(files)
    np.save(files.folder / "grid.npy", files.regions[:40])
    result = run(files.folder / "own.npy", *custom(files, "rows.csv", "--regions", files.folder / "grid.npy"))
    assert result.exit_code == 1
    for fact in (
        *("own.npy: 1 NaN", "1 infinite", "2 rows (row 4)", "features of 42", "regions of 40"),
        *("attributes.csv: 1 duplicate classes (bee)", "attributes.csv: 1 classes", "(gnu)"),
    ):
        assert fact in result.stderr
    result = run(files.folder / "own.npy", *custom(files))
    assert "1 classes of images" in result.stderr and "(ant)" in result.stderr
    assert "rows.csv: 1 parts" in result.stderr and "(training)" in result.stderr
    assert not (root / "Zoo").exists()
    assert dataset_folders(root) == {}


@pytest.mark.parametrize(
    ("name", "lines", "fault"),
    [
        ("attributes.csv", ["name,a", "x,1,2", "y,1"], "attributes.csv & 1 rows & 2 cells"),
        ("attributes.csv", ["name,a", "ant,many", "bee,-", "cat,3"],
         "attributes.csv & 2 cells & 'many' of ant & '-' of bee"),
        ("attributes.csv", ["name,a", "ant,nan"], "1 values & (ant)"),
        ("attributes.csv", ["name,a"], "attributes.csv & no rows"),
        ("attributes.csv", ["name,a,a", "ant,1,2"], "1 duplicate attributes & (a)"),
        ("rows.csv", ["row,class", "0,ant"], "no column 'part'"),
        ("rows.csv", ["part", "trainval"], "rows.csv & 'image' & 'row' & 'class'"),
        ("rows.csv", ["row,part", "0,trainval"], "rows.csv & column 'class' & image folder"),
        ("rows.csv", ["row,class,part", "0,ant,trainval", "0,ant,trainval", "1,ant,trainval"],
         "1 duplicate & 40 of 42"),
        ("rows.csv", ["row,class,part", "42,ant,trainval", "-1,ant,trainval"],
         "2 values & 0 to 41"),
        ("rows.csv", ["image,class,part", "a,ant,trainval"], "rows.csv & 1 rows & 42"),
        ("rows.csv", ["class,part", "ant,seen"], "rows.csv & --labels"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line(
    files: Any, run: Callable[..., Any], root: Path, name: str, lines: list[str], fault: str
) -> None:
    files.csv(name, lines)
    result = run(files.folder / "own.npy", *custom(files))
    assert result.exit_code == 1
    assert all(fact in result.stderr for fact in fault.split(" & ")), result.stderr
    assert sum(one.startswith("Error") for one in result.stderr.splitlines()) == 1
    assert not (root / "Zoo").exists()


def test_faults_of_the_split(files: Any, run: Callable[..., Any]) -> None:
    lines = (files.folder / "rows.csv").read_text().replace("cat,test_unseen", "cat,trainval", 1)
    files.csv("rows.csv", [one.replace("gnu,trainval", "gnu,test_seen") for one in lines.splitlines()])
    result = run(files.folder / "own.npy", *custom(files))
    assert "1 unseen classes" in result.stderr and "(cat)" in result.stderr
    assert "1 classes of test_seen" in result.stderr and "(gnu)" in result.stderr


def test_missing_images(files: Any, run: Callable[..., Any], root: Path) -> None:
    for one in files.names[:2]:
        (files.folder / "photos" / one).unlink()
    (files.folder / "photos" / "ant" / "extra.jpg").write_bytes(b"")
    result = run(files.folder / "photos", *custom(files, "images.csv"))
    assert "images.csv: 2 images" in result.stderr
    lines = (files.folder / "images.csv").read_text().splitlines()
    files.csv("images.csv", [one for one in lines if one.partition(",")[0] not in files.names[:2]])
    result = run(files.folder / "photos", *custom(files, "images.csv"))
    assert result.exit_code == 0, result.stderr
    assert "note: 1 images" in result.stderr and "(ant/extra.jpg)" in result.stderr
    assert not (root / "Zoo" / "images" / "ant" / "extra.jpg").exists()


def test_classes_without_images_are_left_out(files: Any, run: Callable[..., Any], root: Path) -> None:
    lines = (files.folder / "attributes.csv").read_text().splitlines()
    files.csv("attributes.csv", [*lines, "yak,1,1,1,1"])
    result = run(files.folder / "own.npy", *custom(files))
    assert "note: 1 classes" in result.stderr and "(yak)" in result.stderr
    assert "yak" not in load(root).class_names


def test_attributes_with_exchanged_axes(files: Any, run: Callable[..., Any]) -> None:
    lines = [one.split(",") for one in (files.folder / "attributes.csv").read_text().splitlines()]
    files.csv("attributes.csv", [",".join(row) for row in zip(*lines, strict=True)])
    result = run(files.folder / "own.npy", *custom(files))
    assert result.exit_code == 1
    assert "7 classes of images" in result.stderr and "transposed?" in result.stderr


def test_values_too_large_for_half_precision(files: Any, run: Callable[..., Any]) -> None:
    np.save(files.folder / "grid.npy", files.regions * 1e6)
    result = run(files.folder / "grid.npy", *custom(files), "--dtype", "float16")
    assert "up to 65504" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--name", "cub"], "--name cub: & official"),
        (["--name", "../evil"], "--name ../evil & use letters, digits"),
        (["--name", "ok", "--features-name", "../../../pwn"], "--features-name ../../../pwn"),
        (["--name", "ok", "--features-name", "att_splits"], "--features-name att_splits"),
        (["--name", "ok", "--regions", "grid.npy", "--regions-name", "../pwn"], "--regions-name ../pwn"),
        ([], "--name, --attributes & --split"),
    ],
)
def test_names(files: Any, run: Callable[..., Any], arguments: list[str], fault: str) -> None:
    table = ["--attributes", files.folder / "attributes.csv", "--split", files.folder / "rows.csv"]
    arguments = [str(files.folder / one) if one == "grid.npy" else one for one in arguments]
    before = sorted(files.folder.rglob("*"))
    result = run(files.folder / "own.npy", *table, *arguments)
    assert result.exit_code == 2
    assert all(fact in result.stderr for fact in fault.split(" & "))
    assert not list(files.folder.parent.rglob("pwn*")) and sorted(files.folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["Zwei Vögel", "UCF101/split_1", "鳥", "toy"])
def test_names_of_folders(files: Any, run: Callable[..., Any], root: Path, name: str) -> None:
    table = ["--attributes", files.folder / "attributes.csv", "--split", files.folder / "rows.csv"]
    result = run(files.folder / "own.npy", "--name", name, *table, "--features-name", "own 2")
    assert result.exit_code == 0, result.stderr
    assert {"att_splits.mat", "own 2.mat"} <= {one.name for one in (root / name).iterdir()}
    shown = "folder:toy" if name == "toy" else name.lower()
    command = next(line for line in result.stdout.splitlines() if "run METHOD" in line)
    assert shlex.split(command)[-1] == shown
    assert ("folder:toy" in result.stderr) == (name == "toy")
    data = ["--data-root", str(root)]
    checked = CliRunner().invoke(cli, ["data", "check", shown, *data, "--format", "json"])
    assert checked.exit_code == 0, checked.output
    listed = CliRunner().invoke(cli, ["data", "list", *data, "--format", "json"])
    assert shown in {row["dataset"] for row in json.loads(listed.stdout)}
    about = CliRunner().invoke(cli, ["data", "info", shown, *data, "--format", "json"])
    assert json.loads(about.stdout)["folder"] == str(root / name)
    command = ["data", "export", shown, *data, "--to", "xlsa17", "-o", str(root.parent / "out")]
    assert CliRunner().invoke(cli, command).exit_code == 0
    again = dataset_folders(root.parent)
    assert read_without_features(again["out"]).class_names == load(root, shown).class_names  # type: ignore[union-attr]


def test_a_data_set_holds_no_other(files: Any, run: Callable[..., Any], root: Path) -> None:
    assert run(files.folder / "own.npy", *custom(files)).exit_code == 0
    result = run(files.folder / "own.npy", "--name", "zoo/inner", *custom(files)[2:])
    assert result.exit_code == 2 and str(root / "Zoo") in result.stderr


def test_no_pickle_is_opened(files: Any, run: Callable[..., Any]) -> None:
    np.save(files.folder / "own.npy", np.array([{"a": 1}] * 42, dtype=object), allow_pickle=True)
    result = run(files.folder / "own.npy", *custom(files))
    assert (result.exit_code, "own.npy: is not a .npy" in result.stderr) == (1, True)


def test_a_stop_leaves_nothing(
    files: Any, run: Callable[..., Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    real = custom_write.blocks

    def stopped(*given: Any) -> Any:
        calls.append(1)
        yield next(real(*given))
        if len(calls) == 3:  # the first two check features and regions, the third writes
            raise KeyboardInterrupt

    arguments = (files.folder / "own.npy", *custom(files, "rows.csv", "--regions", files.folder / "grid.npy"))
    monkeypatch.setattr(custom_write, "blocks", stopped)
    result = run(*arguments)
    assert result.exit_code == 130
    assert "nothing was imported" in result.stderr
    assert [one.name for one in root.iterdir() if not one.name.endswith(".lock")] == []
    monkeypatch.setattr(custom_write, "blocks", real)
    assert run(*arguments).exit_code == 0


def test_a_killed_import_is_cleared_by_the_next(files: Any, run: Callable[..., Any], root: Path) -> None:
    left = root / ".Zoo.01234567.part" / "files"
    left.mkdir(parents=True)
    (left / "own.mat").write_bytes(b"half")
    assert run(files.folder / "own.npy", *custom(files)).exit_code == 0
    assert not left.exists()


def test_memory_does_not_grow_with_the_data(
    files: Any, run: Callable[..., Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zslbench_data.exporting import xlsa17

    most = []
    real = np.asarray
    monkeypatch.setattr(xlsa17, "BLOCK_BYTES", 200)

    def watched(values: Any, *more: Any, **how: Any) -> Any:
        if isinstance(values, np.memmap):
            most.append(values.nbytes)
        return real(values, *more, **how)

    monkeypatch.setattr(np, "asarray", watched)
    arguments = (files.folder / "own.npy", *custom(files, "rows.csv", "--regions", files.folder / "grid.npy"))
    assert run(*arguments).exit_code == 0
    monkeypatch.undo()
    assert most and max(most) <= 200
    np.testing.assert_array_equal(load(root).features, files.features)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_images_may_be_linked(files: Any, run: Callable[..., Any], root: Path) -> None:
    arguments = (files.folder / "photos", *custom(files, "images.csv"), "--link")
    assert run(*arguments).exit_code == 0
    assert (root / "Zoo" / "images").is_symlink()
    assert "already there" in run(*arguments).stdout
    assert run(files.folder / "own.npy", *custom(files), "--force").exit_code == 0
    assert not (root / "Zoo" / "images").exists()
    assert (files.folder / "photos" / files.names[0]).is_file()


@pytest.mark.slow
def test_imports_need_no_pillow() -> None:
    """It belongs to the extra that decodes images."""
    modules = ", ".join(f"zslbench_data.importing.{name}" for name in ("custom_write", "folder", "regions"))
    code = f"import sys; sys.modules['PIL'] = None; import {modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
