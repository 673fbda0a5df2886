"""Class vectors from files and named class semantics: rows belong to their classes, or files are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zslbench.data import (
    RegionWriter,
    class_words,
    read_xlsa17,
    semantics_name,
    with_semantics,
    write_semantics,
)
from zslbench.errors import DataError, MissingData, SettingsError, UnknownName
from zslbench.experiment.datasets import DataFiles, load_dataset, provenance
from zslbench.experiment.recipe import resolve
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.discovery import registry

NAMES = ["ant", "bee", "cat", "dog", "elk", "fox"]
VALUES = np.arange(1, 25, dtype=np.float32).reshape(6, 4)


@pytest.fixture
def folder(write_set: Callable[..., Path]) -> Path:
    return write_set("Mini")


def load(folder: Path, semantics: str | None) -> Dataset:
    part = resolve(registry(), "mini", method="eszsl", data_root=folder.parent).parts["dataset"]
    return load_dataset(part, DataFiles(semantics=semantics), root=folder.parent)


def csv(path: Path, rows: dict[str, list[float]], columns: str = "a,b,c,d") -> str:
    lines = [",".join([name, *map(str, row)]) for name, row in rows.items()]
    path.write_text("\n".join([f"class,{columns}", *lines]))
    return str(path)


def test_an_array_has_a_row_per_class_in_their_order(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", VALUES)
    found, own = load(folder, str(tmp_path / "mine.npy")), load(folder, None)
    np.testing.assert_array_equal(found.semantics, VALUES)
    assert (found.semantics_name, found.attribute_names) == ("mine.npy", None)
    assert own.semantics_name == "att" and own.semantics.shape == (6, 3)
    before, after = ({one["array"]: one for one in provenance(data)["arrays"]} for data in (own, found))
    assert {name for name in before if before[name] != after[name]} == {"semantics"}
    assert not Path(after["semantics"]["file"]).is_absolute()


@pytest.mark.parametrize(("shape", "hint"), [((5, 4), "6 classes"), ((4, 6), "transposed")])
def test_an_array_of_other_classes_is_refused(
    folder: Path, tmp_path: Path, shape: tuple[int, int], hint: str
) -> None:
    np.save(tmp_path / "mine.npy", np.ones(shape, dtype=np.float32))
    with pytest.raises(DataError, match=hint):
        load(folder, str(tmp_path / "mine.npy"))


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_unusable_values_are_refused(folder: Path, tmp_path: Path, value: float) -> None:
    values = VALUES.copy()
    values[2] = value
    np.save(tmp_path / "mine.npy", values)
    with pytest.raises(DataError) as caught:
        load(folder, str(tmp_path / "mine.npy"))
    assert str(tmp_path / "mine.npy") in str(caught.value)


def test_rows_of_a_table_are_found_by_name_in_any_order(folder: Path, tmp_path: Path) -> None:
    rows = {name: VALUES[row].tolist() for row, name in enumerate(NAMES)}
    given = {name: rows[name] for name in ("fox", "bee", "ant", "elk", "dog", "cat")}
    given["003.Cat"] = given.pop("cat")  # the same words
    found = load(folder, csv(tmp_path / "mine.csv", given))
    np.testing.assert_array_equal(found.semantics, VALUES)
    assert found.attribute_names == ("a", "b", "c", "d")


def test_a_table_of_other_classes_says_which(folder: Path, tmp_path: Path) -> None:
    given = {name: [1.0, 2.0] for name in ("ant", "bee", "cat", "dog", "gnu")}
    with pytest.raises(DataError) as caught:
        load(folder, csv(tmp_path / "mine.csv", given, "a,b"))
    assert all(one in str(caught.value) for one in ("2 classes", "elk", "fox", "gnu"))
    with pytest.raises(DataError, match="repeat"):
        load(folder, csv(tmp_path / "mine.csv", {n: [1.0] for n in [*NAMES, "2_Bee"]}, "a"))


def test_word_vectors_follow_the_columns(folder: Path, tmp_path: Path) -> None:
    own = load(folder, None)
    words = np.arange(6, dtype=np.float32).reshape(3, 2)
    described = replace(own, attribute_names=("red", "blue", "big"), attribute_vectors=words)
    rows = {name: [1.0, 2.0] for name in NAMES}
    some = with_semantics(described, Path(csv(tmp_path / "some.csv", rows, "big,red")))
    assert some.attribute_vectors is not None
    np.testing.assert_array_equal(some.attribute_vectors, words[[2, 0]])
    other = with_semantics(described, Path(csv(tmp_path / "other.csv", rows, "big,green")))
    assert other.attribute_vectors is None
    np.save(tmp_path / "mine.npy", VALUES[:, :3])
    assert with_semantics(described, tmp_path / "mine.npy").attribute_vectors is None


def test_named_semantics_keep_values_and_say_how_they_were_made(folder: Path) -> None:
    made = {"kind": "text embeddings", "prompts": ["a {}"]}
    path = write_semantics(folder, "texts", VALUES, NAMES, made, date="2026-01-01")
    found = load(folder, "texts")
    np.testing.assert_array_equal(found.semantics, VALUES)
    assert found.semantics_name == "texts"
    assert found.extra["semantics_kind"] == "text embeddings"
    assert found.extra["semantics_made"] == {"prompts": ["a {}"]}
    by_path = load(folder, str(path))
    assert provenance(by_path) == provenance(found)
    write_semantics(folder, "texts", VALUES, NAMES, made, date="2027-01-01")
    assert provenance(load(folder, "texts")) == provenance(found)  # the date is no part of a run's identity


def test_named_semantics_of_other_classes_or_values_are_refused(folder: Path) -> None:
    path = write_semantics(folder, "texts", VALUES, NAMES[::-1], {}, date="")
    with pytest.raises(DataError, match="other classes"):
        load(folder, "texts")
    write_semantics(folder, "texts", VALUES, NAMES, {}, date="")
    np.save(path, VALUES + 1)
    with pytest.raises(DataError, match=r"texts\.json"):
        load(folder, "texts")
    write_semantics(folder, "texts", VALUES, NAMES, {"kind": "a"}, date="")
    about = path.with_suffix(".json")
    about.write_text(about.read_text().replace('"kind": "a"', '"kind": "b"'))
    with pytest.raises(DataError, match=r"texts\.json.*damaged"):
        load(folder, "texts")


def test_unknown_names_and_missing_files(folder: Path, tmp_path: Path) -> None:
    write_semantics(folder, "texts", VALUES, NAMES, {}, date="")
    with pytest.raises(UnknownName, match="'texts'"):
        load(folder, "text")
    with pytest.raises(MissingData, match=r"none\.npy"):
        load(folder, str(tmp_path / "none.npy"))
    with pytest.raises(UnknownName):
        read_xlsa17(folder, name="mini", semantics="../semantics/texts")
    for name in ("att", "sentence", "mine.npy", "../up"):
        with pytest.raises(SettingsError):
            semantics_name(name)


def test_generated_data_sets_take_files_too(tmp_path: Path) -> None:
    settings = {"dataset.classes": 6, "dataset.unseen": 2, "dataset.images_per_class": 6}
    part = resolve(registry(), "toy", method="eszsl", data_root=tmp_path, settings=settings).parts["dataset"]
    np.save(tmp_path / "mine.npy", VALUES)
    found = load_dataset(part, DataFiles(semantics=str(tmp_path / "mine.npy")), root=tmp_path)
    np.testing.assert_array_equal(found.semantics, VALUES)
    assert found.attribute_vectors is None
    json.dumps(provenance(found))


def test_models_that_differ_are_pointed_out(folder: Path) -> None:
    """Features of one model and texts of another with vectors as long: their similarities mean nothing."""
    provenance_ = {"settings": {"weights_sha256": "a" * 64}, "simulated": False, "source": "", "grid": [1, 1]}
    labels = np.zeros(60, dtype=np.int64)
    with RegionWriter(folder / "regions" / "res101", (60, 1, 5), "float32", labels=labels,
                      image_files=None, provenance=provenance_) as writer:  # fmt: skip
        writer.append(np.ones((60, 1, 5), dtype=np.float32))
    for digest, width, expected in (("b", 5, 1), ("a", 5, 0), ("b", 4, 0)):
        values = np.random.default_rng(0).random((6, width), dtype=np.float32)
        write_semantics(folder, "texts", values, NAMES, {"weights_sha256": digest * 64}, date="")
        assert sum("different models" in note for note in load(folder, "texts").notes) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("001.Black_footed_Albatross", "black footed albatross"),
        ("grizzly+bear", "grizzly bear"),
        ("  outdoor/church ", "outdoor church"),
        ("black-eyed susan", "black-eyed susan"),
        ("747", "747"),
        ("2001", "2001"),
        ("Boeing_737-200", "boeing 737-200"),
    ],
)
def test_words_of_class_names(name: str, words: str) -> None:
    assert class_words(name) == words
