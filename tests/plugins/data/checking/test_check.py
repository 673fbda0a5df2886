"""Each fault becomes a row with its count, nothing hides another, and a sound data set has none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

from zslbench.cli.main import cli

Run = Callable[..., dict[str, list[str]]]


def has(rows: list[str], *texts: str) -> bool:
    """Whether some row has all of these texts."""
    return any(all(text in row for text in texts) for row in rows)


def test_a_sound_data_set(zoo: Any, run: Run) -> None:
    zoo.store()
    zoo.record("att_splits.mat", "res101.mat")
    found = run()
    assert found["error"] == found["warning"] == []
    for where, text in (
        ("att_splits.mat", "trainval 18, test_seen 6, test_unseen 16"),
        ("res101.mat", "(40)"),
        ("res101.mat", "no features"),
        ("image_files, res101.mat", "labels agree"),
        ("regions/net", "attributes and split"),
        ("regions/net", "mean over regions"),
        ("regions/net", "checksums"),
        ("attribute_vectors.npy", "6 word vectors"),
        ("attribute_vectors.npy", "fit the words"),
        ("images", "(40)"),
        ("sources.json", "checksums (2)"),
    ):
        assert has(found["ok"], where, text), (where, text, found["ok"])


def test_values_of_features(zoo: Any, run: Run) -> None:
    values = zoo.regions.mean(axis=1)
    values[3, 1] = np.nan
    values[5, :2] = np.inf
    values[9] = 0
    values[:, 4] = 7
    values[[3, 5], 4] = 7
    values[9, 4] = 0
    zoo.write(features=values.T)
    found = run()
    assert has(found["error"], "res101.mat", "1 NaN", "2 infinite", "2 images (row 3, 5)", "(3)")
    assert has(found["error"], "res101.mat", "all zero (row 9)", "(1)")
    values[9, 4] = 7
    zoo.write(features=values.T)
    assert has(run()["warning"], "res101.mat", "dimensions", "(4)", "(1)")


def test_the_same_image_twice(zoo: Any, run: Run) -> None:
    values = zoo.regions.mean(axis=1)
    train, other = zoo.parts["trainval"][:2]
    seen, unseen = zoo.parts["test_seen"][0], zoo.parts["test_unseen"][0]
    values[seen] = values[train]
    values[unseen] = values[zoo.parts["trainval"][-1]]
    values[other] = values[zoo.parts["trainval"][2]]
    zoo.write(features=values.T)
    folder = zoo.folder / "images"
    names = [one.removeprefix("x/") for one in zoo.files]
    (folder / names[seen]).write_bytes((folder / names[train]).read_bytes())
    (folder / names[other]).write_bytes(b"")
    found = run()
    assert has(found["error"], "res101.mat", "same features", "several parts", "(4)")
    assert has(found["error"], f"{min(train, seen)} (", f"= {max(train, seen)} (")
    assert has(found["warning"], "res101.mat", "same features", "several labels", "(2)")
    assert has(found["ok"], "res101.mat", "same features", "one part", "(2)")
    assert has(found["error"], "images:", "same image", "several parts", "(2)")
    assert has(found["error"], "images:", "empty image files", "(1)")


def test_splits(zoo: Any, run: Run) -> None:
    zoo.parts["test_seen"] = np.append(zoo.parts["test_seen"], zoo.parts["trainval"][:2])
    zoo.parts["trainval"] = np.append(zoo.parts["trainval"], [zoo.parts["test_unseen"][0], 40])
    zoo.write()
    found = run()["error"]
    assert has(found, "trainval", "test_seen", "2 images", "(2)")
    assert has(found, "trainval", "test_unseen", "1 images", "(1)")
    assert has(found, "1 unseen classes", "(1)")
    assert has(found, "trainval", "1 indices", "0 to 39", "(1)")


def test_class_semantics(zoo: Any, run: Run) -> None:
    zoo.att[1] = zoo.att[0]
    zoo.att[:, 2] = 0.5
    zoo.att[4] = 0
    zoo.att[3, 3] = np.nan
    zoo.write(original_att=np.ones((6, 4)))
    found = run()
    assert has(found["error"], "att_splits.mat: att", "1 NaN", "0 infinite")
    assert has(found["error"], "att_splits.mat: att", "1 classes", "(eel)", "(1)")
    assert has(found["error"], "att_splits.mat: original_att", "4 classes", "names of 5")
    assert has(found["warning"], "att_splits.mat: att", "(ant = bee)", "(2)")
    assert has(found["warning"], "att_splits.mat: original_att", "columns")


def test_class_order(zoo: Any, run: Run) -> None:
    names = np.empty((5, 1), dtype=object)
    names[:, 0] = ["bee", "ant", "big cat", "dog", "eel"]
    zoo.write(allclasses_names=names)
    found = run()
    assert has(found["error"], "labels disagree", "(16)")
    names[:, 0] = ["one", "two", "three", "four", "five"]
    zoo.write(allclasses_names=names)
    assert has(run()["ok"], "no class")
    (zoo.folder / "testclasses.txt").write_text("four\nthree\n")
    assert has(run()["error"], "testclasses.txt", "test_unseen", "2 classes", "(2)")


def test_files_that_contradict_each_other(zoo: Any, run: Run) -> None:
    images = {"labels": zoo.labels[:, None] + 1, "features": zoo.regions[:, 0].T}
    images["labels"] = np.roll(images["labels"], 1)
    scipy.io.savemat(zoo.folder / "other.mat", images)
    scipy.io.savemat(zoo.folder / "short.mat", {"labels": np.ones((3, 1)), "features": np.ones((6, 3))})
    found = run()["error"]
    differ = int(np.count_nonzero(np.roll(zoo.labels, 1) != zoo.labels))
    assert has(found, "other.mat", "labels differ", "res101.mat", f"({differ})")
    assert has(found, "short.mat", "3 images", "40")
    assert has(found, "short.mat", "features of 3", "labels of 40")


@pytest.mark.parametrize(
    "file", ["att_splits.mat", "res101.mat", "more.mat", "attribute_vectors.npy", "bad.h5"]
)
def test_a_file_that_cannot_be_read_is_a_row(zoo: Any, run: Run, file: str) -> None:
    zoo.store()
    whole = (zoo.folder / "res101.mat").read_bytes()
    (zoo.folder / file).write_bytes(whole[: len(whole) // 2])
    if file == "bad.h5":
        with h5py.File(zoo.folder / file, "w") as made:
            made["feature_map"] = np.zeros((40, 6))
    found = run()
    assert has(found["error"], file), found
    others = {"att_splits.mat": "regions/net", "res101.mat": "regions/net"}
    assert has(found["ok"], others.get(file, "res101.mat"))  # the rest was looked at


def test_regions(zoo: Any, run: Run) -> None:
    store = zoo.store("bad", labels=np.roll(zoo.labels, 3), files=None, att=zoo.att[::-1].astype(np.float32))
    zoo.store("good")
    values = np.load(store / "regions.npy", mmap_mode="r+")
    values[2, 1, 3] = np.nan
    values[7] = 0
    values.flush()
    found = run()
    assert has(found["error"], "regions/bad", "another order")
    assert has(found["error"], "regions/bad", "class order")
    assert has(found["error"], "regions/bad", "1 NaN", "1 images (row 2)")
    assert has(found["error"], "regions/bad", "all zero (row 7)", "(1)")
    assert has(found["error"], "regions/bad", "regions differs")
    assert has(found["warning"], "regions/bad", "largest difference", "(1)")
    assert not has(found["error"], "regions/good")
    assert has(run("--regions", "good")["ok"], "regions/good")
    assert run("--regions", "good")["error"] == []
    assert has(run("--regions", "none")["error"], "'none'")


def test_the_largest_difference(zoo: Any, run: Run) -> None:
    zoo.write(features=zoo.regions.mean(axis=1).T + np.float32(0.03125))
    zoo.store()
    found = run()
    assert has(found["ok"], "res101.mat", "difference 0.0313"), found
    zoo.write(features=np.roll(zoo.regions.mean(axis=1).T, 1, axis=1))
    assert has(run()["warning"], "largest difference")


def test_regions_alone(zoo: Any, run: Run) -> None:
    zoo.store()
    (zoo.folder / "res101.mat").unlink()
    shutil.rmtree(zoo.folder / "images")
    found = run()
    assert found["error"] == []
    assert has(found["ok"], "image_files, net", "labels agree")
    assert has(found["ok"], "trainval 18, test_seen 6, test_unseen 16")


@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">f2"])
def test_a_region_file_in_chunks_is_not_copied(
    zoo: Any, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setenv("ZSLBENCH_CACHE", str(tmp_path / "cache"))
    with h5py.File(zoo.folder / "map.hdf5", "w") as file:
        values = zoo.regions.transpose(0, 2, 1).reshape(40, 6, 2, 2).astype(dtype)
        file.create_dataset("feature_map", data=values, chunks=(8, 6, 2, 2), compression="gzip")
        file["labels"] = zoo.labels
    assert has(run()["ok"], "map.hdf5", "largest difference")
    assert not (tmp_path / "cache").exists()


def test_words(zoo: Any, run: Run) -> None:
    zoo.vectors = zoo.vectors[[3, 1, 5, 0, 2, 4]]
    zoo.write()
    found = run()
    assert has(found["warning"], "attribute_vectors.npy", "variance unexplained")
    zoo.vectors[2] = 0
    zoo.write()
    assert has(run()["warning"], "(all zero): shape red", "(1)")
    zoo.vectors[3, 1] = np.inf
    zoo.write()
    assert has(run()["error"], "not finite (attribute 3)", "(1)")
    zoo.vectors = zoo.vectors[:5]
    zoo.write()
    (zoo.folder / "attribute_names.txt").write_text("a\nb\n")
    found = run()
    assert has(found["error"], "vectors of 5", "6 attributes")
    assert has(found["error"], "2 attribute names", "6 attributes")


def test_checksums(zoo: Any, run: Run) -> None:
    zoo.record("att_splits.mat", "res101.mat", "attribute_names.txt")
    (zoo.folder / "attribute_names.txt").write_text("\n".join("abcdef"))
    content = bytearray((zoo.folder / "res101.mat").read_bytes())
    content[20] ^= 1  # in the text of the head, where no reader looks
    (zoo.folder / "res101.mat").write_bytes(content)
    found = run()
    assert has(found["error"], "res101.mat", "checksum")
    assert has(found["error"], "attribute_names.txt", "checksum")
    assert has(found["ok"], "sources.json", "checksums (1)")
    (zoo.folder / "sources.json").write_text("{")
    assert has(run()["error"], "sources.json", "is damaged")


def test_images_against_the_listing(zoo: Any, run: Run) -> None:
    import hashlib

    picture = zoo.files[3].removeprefix("x/")
    sums = hashlib.sha256(b"another").hexdigest()
    (zoo.folder / "images.sha256").write_text(f"{sums}  images/{picture}\n")
    assert has(run()["error"], "images.sha256", picture, "(1)")
    (zoo.folder / "images" / picture).unlink()
    assert has(run()["error"], "images", "1 of 40 images", "missing")


def test_official_counts(zoo: Any, run: Run, tmp_path: Path) -> None:
    zoo.folder.rename(tmp_path / "data" / "AWA2")
    rows = run(name="awa2")
    found = rows["error"]
    assert has(rows["warning"], "att_splits.mat", "published")
    for count in (
        "40 images, officially 37322",
        "5 classes, officially 50",
        "18 trainval images, officially 23527",
    ):
        assert has(found, count)
    zoo.folder = zoo.folder.with_name("AWA2")
    (tmp_path / "data" / "mine").mkdir()
    for name in ("folder:awa2", "mine/awa2"):  # any folder, not the official data set
        assert not has(run(name=name)["error"], "officially")
        if name.startswith("folder"):
            zoo.folder.rename(tmp_path / "data" / "mine" / "AWA2")


def test_strict_and_one_of_several(zoo: Any, run: Run) -> None:
    zoo.vectors[0] = 0
    zoo.write()
    assert run()["warning"]
    run("--strict", status=1)
    scipy.io.savemat(
        zoo.folder / "nan.mat", {"features": np.full((2, 40), np.nan), "labels": zoo.labels[:, None] + 1}
    )
    assert has(run()["error"], "nan.mat", "80 NaN")
    assert run("--features", "res101")["error"] == []
    assert has(run("--features", "gone")["error"], "gone.mat")
    assert has(run("--semantics", "sentence")["error"], "sent_splits.mat")


def test_large_files_are_read_in_pieces(zoo: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from zslbench_data.checking import features
    from zslbench_data.exporting import xlsa17
    from zslbench_data.exporting.xlsa17 import write_images

    monkeypatch.setattr(xlsa17, "LARGEST", 0)
    monkeypatch.setattr(features, "_ROWS", 7)
    values = zoo.regions.mean(axis=1)
    values[33, 2] = np.nan
    write_images(zoo.folder / "res101.mat", labels=zoo.labels, image_files=zoo.files, features=values)
    assert max(len(one) for one in features.feature_blocks(zoo.folder / "res101.mat")) == 7
    found = run()
    assert has(found["error"], "res101.mat", "1 NaN", "1 images (row 33)")


def test_simulated_data_and_unknown_names(run: Run) -> None:
    assert has(run(name="toy")["ok"], "800 images", "20 classes")
    for name, status, text in (("tyo", 2, "did you mean 'toy'"), ("sun", 1, "zslbench data get sun")):
        result = CliRunner().invoke(cli, ["data", "check", name, "--data-root", "nowhere"])
        assert (result.exit_code, text in result.stderr) == (status, True)


def test_real_data(real_data: Path, run: Run) -> None:
    result = CliRunner().invoke(
        cli, ["data", "check", "cub", "--data-root", str(real_data), "--format", "csv"]
    )
    assert result.exit_code == 0, result.stdout
    assert '"counts are the official ones of cub, with sentence"' in result.stdout
    assert "word vectors fit" in result.stdout
    assert "published" not in result.stdout
    result = CliRunner().invoke(cli, ["data", "check", "awa2mini", "--data-root", str(real_data)])
    # Its images were gathered from the web, and some were gathered twice.
    assert result.exit_code == 1
    assert "several parts" in result.stdout
    assert "largest difference 0.0632" in result.stdout
    assert result.stderr.splitlines()[-1].startswith("2 errors")
