"""A region store whose bytes changed never gives figures under the digest of other bytes."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import scipy.io
from click.testing import CliRunner, Result

from zslbench.cli.main import cli
from zslbench.data import RegionStore, RegionWriter, once
from zslbench.data.regions import store as stores
from zslbench.errors import ZslbenchError
from zslbench.evaluation.selection import Selection
from zslbench.experiment.datasets import DataFiles, DatasetCache, load_dataset, provenance
from zslbench.experiment.job import ExecutionMode, Job
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin.discovery import registry
from zslbench.store.files import checked_json, parse_checked_json
from zslbench.store.identity import run_id
from zslbench.store.store import Store

IMAGES, REGIONS, CHANNELS, CLASSES = 60, 4, 9, 6
MUTATIONS = 85


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with the data set Mini, whose only values are those of its region store ``net``."""
    monkeypatch.setenv("ZSLBENCH_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "root" / "Mini"
    folder.mkdir(parents=True)
    random_values = np.random.default_rng(1)
    rows = np.arange(IMAGES).reshape(CLASSES, 10)
    att = random_values.random((CLASSES, 5))
    parts = {"trainval": rows[:4, :8], "test_seen": rows[:4, 8:], "test_unseen": rows[4:]}
    splits = {f"{part}_loc": one.ravel()[:, None] + 1 for part, one in parts.items()}
    scipy.io.savemat(folder / "att_splits.mat", splits | {"att": att.T})
    shape = IMAGES, REGIONS, CHANNELS
    vectors = random_values.random((5, 7))
    companions = {
        name: one.astype(np.float32) for name, one in (("att", att), ("attribute_vectors", vectors))
    }
    labels, names = np.repeat(np.arange(CLASSES), 10), [f"{one}.jpg" for one in range(IMAGES)]
    with RegionWriter(
        folder / "regions" / "net",
        shape,
        "float16",
        labels=labels,
        image_files=names,
        companions=companions,
        provenance={"grid": [2, 2]},
    ) as writer:
        writer.append(random_values.random(shape).astype(np.float16))
    return folder.parent


@pytest.fixture
def recipe(root: Path) -> Recipe:
    return resolve(registry(), "mini", method="eszsl", data_root=root)


@pytest.fixture
def run(root: Path, tmp_path: Path) -> Callable[..., Result]:
    def call(*words: str) -> Result:
        command = [
            "run",
            "eszsl",
            "--dataset",
            "mini",
            "--features",
            "mean",
            "--select",
            "last",
            "--threads",
            "1",
        ]
        where = ["--data-root", str(root), "--store", str(tmp_path / "runs")]
        return CliRunner().invoke(cli, [*command, *where, *words])

    return call


def reverse(folder: Path) -> None:
    """Reverse the rows of the regions in place, with size and time of change as they were."""
    path = folder / "regions.npy"
    found = path.stat()
    array = np.load(path, mmap_mode="r+")
    array[:] = array[::-1].copy()
    array.flush()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def mutate(folder: Path, draw: random.Random) -> None:
    """One change of one file."""
    kind = draw.choice(["bit", "bit", "rows", "array", "labels", "description"])
    if kind == "labels":
        path = folder / "images.parquet"
        table = parquet.read_table(path)
        labels = table["label"].to_numpy().copy()
        labels[draw.randrange(IMAGES)] += 1
        parquet.write_table(table.set_column(2, "label", pa.array(labels % CLASSES)), path)
    elif kind == "description":
        path = folder / "store.json"
        text = path.read_text()
        old, new = draw.choice(
            [('"grid": [\n   2', '"grid": [\n   4'), ("false", "true"), ('"net', '"bet'), ("null", "2.0")]
        )
        path.write_text(text.replace(old, new) if old in text else text.replace("1", "3", 1))
    else:
        path = draw.choice(sorted(folder.iterdir()) if kind == "bit" else sorted(folder.glob("*.npy")))
        if kind == "bit":
            data = bytearray(path.read_bytes())
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            path.write_bytes(data)
        else:
            array = np.load(path)
            changed = array[::-1] if kind == "rows" else array * array.dtype.type(draw.choice([2, 0.5, -1]))
            np.save(path, changed.copy())


def test_no_change_of_a_store_keeps_its_digests(root: Path, recipe: Recipe, tmp_path: Path) -> None:
    """Each change is an error, or other data; without the check, 19 of these 85 are accepted."""

    def digests() -> dict[str, str]:
        cache = DatasetCache(root, lambda _: None)
        dataset, data = cache.load(recipe, DataFiles(features="mean"))
        assert isinstance(dataset.regions, RegionStore)
        dataset.regions.require_sound()
        return {one["array"]: one["sha256"] for one in data["arrays"]}

    folder, sound = root / "Mini" / "regions" / "net", digests()
    shutil.copytree(folder, tmp_path / "copy")
    draw, accepted, refused = random.Random(4), 0, 0
    for _ in range(MUTATIONS):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "copy", folder)
        mutate(folder, draw)
        try:
            accepted += digests() == sound
        except ZslbenchError as error:
            assert "\n" not in str(error)
            refused += 1
    assert (accepted, refused) == (0, MUTATIONS)


def test_a_changed_store_is_refused_or_marked_wherever_its_figures_are_shown(
    root: Path, run: Callable[..., Result], tmp_path: Path
) -> None:
    sound = run("--format", "json")
    assert sound.exit_code == 0, sound.output
    reverse(root / "Mini" / "regions" / "net")
    refused = run("--force")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert all(word in refused.stderr for word in ("regions", "net", "--trust-store"))
    trusted = run("--trust-store", "--format", "json")
    assert trusted.exit_code == 0, trusted.output
    assert "unverified" in trusted.stderr
    reverse(root / "Mini" / "regions" / "net")
    other = run("--trust-store", "--format", "json")  # other bytes, whatever their recorded digest
    first, second, third = (json.loads(one.stdout)[0] for one in (sound, trusted, other))
    assert len({first["run"], second["run"], third["run"]}) == 3
    assert third["Acc"] == first["Acc"]

    def shown(*words: str) -> str:
        return CliRunner().invoke(cli, [*words, "--store", str(tmp_path / "runs")]).stdout

    assert "unverified" in shown("show", second["run"])
    assert "unverified" not in shown("show", first["run"])
    for command in ("runs", "table"):
        assert shown(command, "--format", "csv").count("eszsl (unverified)") == 2


def test_the_name_of_a_store_is_recorded_and_not_identified(root: Path, recipe: Recipe) -> None:
    folder = root / "Mini" / "regions" / "net"
    found = []
    for name in ("net", "other"):
        folder = folder.rename(folder.with_name(name))
        description = parse_checked_json((folder / "store.json").read_bytes())
        description["provenance"]["source"] = f"{name}.h5"
        (folder / "store.json").write_bytes(checked_json(description))
        dataset = load_dataset(recipe.parts["dataset"], DataFiles(features="mean"), root=root)
        found.append(provenance(replace(dataset, features_name="same")))
    assert [one["regions"]["name"] for one in found] == ["net", "other"]
    assert [one["regions"]["source"] for one in found] == ["net.h5", "other.h5"]
    jobs = [Job(recipe, dataset, one, 0, Selection("last"), ExecutionMode("cpu")) for one in found]
    assert len({run_id(one.identity()) for one in jobs}) == 1


def test_a_large_store_is_checked_before_the_result_is_recorded(
    root: Path, run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "_LARGE", 0)
    reverse(root / "Mini" / "regions" / "net")
    for mode in ("last", "oracle"):
        refused = run("--select", mode)
        assert (refused.exit_code, refused.stderr.count("Error: ")) == (1, 1)
        assert not list((tmp_path / "runs").rglob("*.safetensors"))
    assert Store(tmp_path / "runs").records() == []


def test_a_store_that_changes_while_it_is_in_use_is_noticed(root: Path, recipe: Recipe) -> None:
    dataset, _ = DatasetCache(root, lambda _: None).load(recipe, DataFiles(features="mean"))
    assert isinstance(dataset.regions, RegionStore)
    reverse(root / "Mini" / "regions" / "net")
    with pytest.raises(ZslbenchError, match="changed while it was in use"):
        dataset.regions.require_sound()


def test_each_state_of_a_store_is_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "_SETTLED", -1)
    reads: list[Path] = []
    verify = RegionStore.verify
    monkeypatch.setattr(RegionStore, "verify", lambda self: reads.append(self.folder) or verify(self))
    folder = root / "Mini" / "regions" / "net"
    for _ in range(3):
        RegionStore.open(folder).require_sound()
    assert len(reads) == 1
    os.utime(folder / "regions.npy")
    RegionStore.open(folder).require_sound()
    assert len(reads) == 2


@pytest.mark.parametrize("chunks", [None, (7, 9, 2, 2)])
def test_a_region_file_edited_in_place_is_noticed(root: Path, recipe: Recipe, chunks: Any) -> None:
    """Also if size and time of change are those of the copy in the cache."""
    store = RegionStore.open(root / "Mini" / "regions" / "net")
    path = root / "Mini" / "file.h5"
    with h5py.File(path, "w") as file:
        values = store[np.arange(IMAGES)].swapaxes(1, 2).reshape(IMAGES, CHANNELS, 2, 2)
        file.create_dataset("feature_map", data=values, chunks=chunks)
        file["labels"] = store.labels

    def load() -> None:
        load_dataset(recipe.parts["dataset"], DataFiles(features="mean", regions="file"), root=root)

    for key in ("labels", "feature_map"):
        found = path.stat()
        load()
        load()
        with h5py.File(path, "a") as file:
            kept = file[key][()]
            file[key][...] = kept[::-1]
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        with pytest.raises(ZslbenchError, match="chang"):
            load()
        with h5py.File(path, "a") as file:
            file[key][...] = kept
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        load()  # only touched


def test_digests_of_arrays_are_not_what_a_plugin_says(root: Path, recipe: Recipe) -> None:
    from dataclasses import replace

    from zslbench.experiment.datasets import arrays

    dataset = load_dataset(recipe.parts["dataset"], DataFiles(features="mean"), root=root)
    true = arrays(dataset)
    lying = replace(dataset, sources=tuple(replace(one, sha256="0" * 64) for one in dataset.sources))
    assert [one for one in arrays(lying) if one.array != "regions"] == [
        one for one in true if one.array != "regions"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("large", [False, True])
def test_nothing_trained_on_a_damaged_store_outlives_the_refusal(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    """Neither checkpoints nor shared stages: once the store is repaired, a run and a variant that shares its
    stages give the figures of a store that was never damaged."""
    folder, kept = root / "Mini" / "regions" / "net", tmp_path / "kept"
    shutil.copytree(folder, kept)
    if large:
        monkeypatch.setattr(stores, "_LARGE", 0)
        monkeypatch.setattr(RegionStore, "begin_check", lambda self: None)  # the check has not begun yet
    else:  # the store changes after it was checked
        begin = RegionStore.begin_check
        monkeypatch.setattr(RegionStore, "begin_check", lambda self: (begin(self), damage()))
    damaged = True

    def damage() -> None:
        if damaged:
            reverse(folder)

    def outcome(store: str, *words: str) -> Result:
        sets = [f"--set=embedding.stage{one}.epochs=3" for one in (1, 2)]
        sets += ["--set=generator.epochs=3", "--set=classifier.epochs=3", "--set=generator.hidden=16"]
        command = ["run", "sc-egg", "--dataset", "mini", "--preset", "toy", "--select", "last", *sets]
        where = ["--data-root", str(root), "--store", str(tmp_path / store), "--format", "json"]
        return CliRunner().invoke(cli, [*command, *where, "--threads", "1", *words])

    def figures(store: str, *words: str) -> Any:
        ended = outcome(store, *words)
        assert ended.exit_code == 0, ended.output
        (found,) = json.loads(ended.stdout)
        return {name: found.get(name) for name in ("run", "Acc", "U", "S", "H")}, "reus" in ended.stderr

    if large:
        damage()
    refused = outcome("runs")
    assert refused.exit_code == 1, refused.output
    assert "changed" in refused.stderr
    assert not list((tmp_path / "runs").rglob("*.safetensors"))
    damaged = False
    shutil.rmtree(folder)
    shutil.copytree(kept, folder)
    variant = ("--set", "generator.lr=0.002")
    assert figures("runs", *variant) == figures("clean", *variant)
    assert figures("runs") == figures("clean")


def test_no_trial_and_no_preset_comes_of_a_store_that_changes_during_the_search(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, begin = root / "Mini" / "regions" / "net", RegionStore.require_sound
    space = ["--search", "classifier.gamma=1,10"]
    command = ["tune", "eszsl", "--dataset", "mini", "--features", "mean", "--trials", "2", *space]
    where = ["--data-root", str(root), "--store", str(tmp_path / "runs"), "--threads", "1"]

    def check_then_damage(store: RegionStore) -> None:
        begin(store)
        monkeypatch.setattr(RegionStore, "require_sound", begin)
        reverse(folder)

    monkeypatch.setattr(RegionStore, "require_sound", check_then_damage)
    refused = CliRunner().invoke(cli, [*command, *where])
    assert (refused.exit_code, refused.stderr.count("Error: ")) == (1, 1), refused.output
    assert "changed" in refused.stderr
    assert not list(tmp_path.rglob("*eszsl*.toml"))


def test_bench_runs_what_failed_on_a_damaged_store_once_it_is_repaired(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "_LARGE", 0)
    suite = tmp_path / "mine.toml"
    rows = 'datasets = "mini"\nselect = "last"\nfeatures = "mean"\n[[methods]]\nmethod = "eszsl"\n'
    suite.write_text(rows)
    where = ["--data-root", str(root), "--store", str(tmp_path / "runs")]

    def bench() -> Result:
        return CliRunner().invoke(cli, ["bench", str(suite), *where, "--threads", "1"])

    reverse(root / "Mini" / "regions" / "net")
    refused = bench()
    assert refused.exit_code == 1, refused.output
    reverse(root / "Mini" / "regions" / "net")
    repaired = bench()
    assert repaired.exit_code == 0, repaired.output
    assert len(Store(tmp_path / "runs").records()) == 1
