"""Region features joined to a data set: what is read, what is refused, and what is left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from zslbench.data.attributes import attribute_names
from zslbench.data.matfile import read_mat
from zslbench.data.provenance import array_sha256
from zslbench.data.regions import find
from zslbench.data.regions.store import RegionStore
from zslbench.data.xlsa17 import FolderSource
from zslbench.errors import DataError, MissingData
from zslbench.experiment.datasets import arrays, provenance
from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.settings import NoSettings

Write = Callable[..., Path]


def load(folder: Path, **asked: Any) -> Dataset:
    asked.setdefault("needs_regions", True)
    return FolderSource(NoSettings()).load(DataRequest("mini", folder.parent, **asked))


def regions(dataset: Dataset) -> RegionStore:
    assert isinstance(dataset.regions, RegionStore)
    return dataset.regions


def test_a_data_set_with_features_and_regions(write_folder: Write, write_hdf5: Write, contents: Any) -> None:
    folder = write_folder("res101")
    write_hdf5(folder / "feature_map_ResNet_101_Mini.hdf5")
    dataset = load(folder)
    np.testing.assert_allclose(dataset.features, contents["feature_map"].mean(axis=(2, 3)) * 2, rtol=1e-5)
    assert dataset.features_name == "res101"
    np.testing.assert_array_equal(
        regions(dataset)[np.array([4])][0], contents["feature_map"][4].reshape(12, 6).T
    )
    np.testing.assert_array_equal(dataset.attribute_vectors, contents["w2v_att"])
    assert dataset.image_files is not None and dataset.image_files[3].endswith("3.jpg")
    sources = {one.array: one for one in arrays(dataset)}
    assert sources["regions"].sha256 == array_sha256(regions(dataset).raw(np.arange(60)))
    assert sources["regions"].file == "Mini/feature_map_ResNet_101_Mini.hdf5"
    assert sources["attribute_vectors"].sha256 == array_sha256(contents["w2v_att"])
    recorded = provenance(dataset)
    assert recorded["regions"]["shape"] == [60, 6, 12]
    assert recorded["regions"]["simulated"] is False
    assert {"regions", "attribute_vectors"} <= {one["array"] for one in recorded["arrays"]}


def test_nothing_is_searched_for_unless_needed(
    write_folder: Write, write_hdf5: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder("res101")
    write_hdf5(folder / "x.hdf5", labels=np.zeros(3))
    np.save(folder / "attribute_vectors.npy", np.zeros((99, 3)))

    def looked(*given: Any) -> None:
        raise AssertionError("looked for regions")

    for name in ("find_regions", "region_files", "open_regions"):
        monkeypatch.setattr(find, name, looked)
    dataset = load(folder, needs_regions=False)
    assert dataset.regions is None and dataset.attribute_vectors is None and dataset.image_files is None
    assert {one.array for one in dataset.sources} == {
        "features", "labels", "semantics", "trainval", "test_seen", "test_unseen"
    }  # fmt: skip
    assert provenance(dataset)["regions"] is None


def test_without_a_features_file_means_over_regions_are_the_features(
    write_folder: Write, write_hdf5: Write, contents: Any
) -> None:
    folder = write_folder()
    path = write_hdf5(folder / "vit.hdf5")
    means = contents["feature_map"].mean(axis=(2, 3))
    asked: list[dict[str, Any]] = [
        {},
        {"needs_regions": False, "regions": "vit"},
        {"needs_regions": False, "regions": str(path)},
        {"needs_regions": False, "features": "mean"},
        {"needs_regions": False, "features": "vit mean"},
    ]
    for one in asked:
        dataset = load(folder, **one)
        np.testing.assert_allclose(dataset.features, means, rtol=1e-5)
        assert dataset.features_name == "vit mean"
        assert dataset.labels.tolist() == contents["labels"].tolist()
        assert {one.array: one.file for one in dataset.sources}["labels"] == "Mini/vit.hdf5"
    with pytest.raises(MissingData, match=r"res101\.mat is missing"):
        load(folder, needs_regions=False)
    write_folder("res101")
    assert load(folder).features_name == "res101"
    assert load(folder, features="mean").features_name == "vit mean"
    assert load(folder, needs_regions=False).regions is None
    with pytest.raises(MissingData, match=r"other\.mat is missing"):
        load(folder, features="other")


def test_the_same_images_in_a_store_and_in_both_layouts_are_the_same_data(
    write_folder: Write, write_hdf5: Write
) -> None:
    folder = write_folder()
    write_hdf5(folder / "x.hdf5")
    first = load(folder)
    write_hdf5(folder / "x.hdf5", layout={"chunks": (9, 12, 2, 3), "compression": "gzip"})
    assert load(folder).sources == first.sources


def swapped(array: np.ndarray, axis: int, one: int = 0, other: int = 2) -> np.ndarray:
    order = np.arange(array.shape[axis])
    order[[one, other]] = order[[other, one]]
    return array.take(order, axis)


CLASSES = np.array([0, 2, 1, 3, 4, 5])


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        (
            lambda c: {"att": swapped(c["att"], 1)},
            "attribute order differs & x.hdf5 & att_splits.mat",
        ),
        (
            lambda c: {"att": swapped(c["att"], 0)},
            "class order differs & x.hdf5 & att_splits.mat",
        ),
        (
            lambda c: {"att": swapped(swapped(c["att"], 1), 0)},
            "class order & attribute order & x.hdf5 & att_splits.mat",
        ),
        (
            lambda c: {"att": c["att"][:, :4]},
            "x.hdf5 & 6 classes & 4 attributes & att_splits.mat & 6 by 5",
        ),
        (
            lambda c: {"att": c["att"].T},
            "x.hdf5 & 5 classes & 6 attributes & (transposed?) & att_splits.mat & 6 by 5",
        ),
        (
            lambda c: {"att": c["att"] * np.linspace(1, 1.01, 6)[:, None]},
            "att differs & 5 classes & x.hdf5 & att_splits.mat",
        ),
        (
            lambda c: {"w2v_att": c["w2v_att"][:4]},
            "x.hdf5 & vectors of 4 & att_splits.mat 5",
        ),
        (
            lambda c: {"labels": CLASSES[c["labels"]], "image_files": None},
            "class order differs & x.hdf5 & res101.mat",
        ),
        (lambda c: {"labels": c["labels"] + 1}, "labels of x.hdf5 & from 1"),
        (
            lambda c: {"labels": swapped(c["labels"], 0, 0, 59), "image_files": None},
            "image order differs & labels & x.hdf5 & res101.mat",
        ),
        (
            lambda c: {"labels": np.where(np.arange(60) == 7, 1, c["labels"])},
            "labels differ & 1 of 60 & x.hdf5 & res101.mat",
        ),
        (
            lambda c: {"image_files": swapped(c["image_files"], 0)},
            "image order differs & images & x.hdf5 & res101.mat",
        ),
        (
            lambda c: {"image_files": np.where(np.arange(60) == 7, b"a/z.jpg", c["image_files"])},
            "image 7 & z in x.hdf5 & 7 in res101.mat",
        ),
        (
            lambda c: {key: c[key][:50] for key in ("feature_map", "labels", "image_files")},
            "x.hdf5 & 50 images & res101.mat 60",
        ),
        (
            lambda c: {"test_seen_loc": c["test_seen_loc"][:7]},
            "test_seen & 7 images & x.hdf5 & 8 in att_splits.mat",
        ),
        (
            lambda c: {"trainval_loc": np.append(c["trainval_loc"][1:], 8)},
            "trainval differs & 1 of 32 & x.hdf5 & att_splits.mat",
        ),
        (
            lambda c: {f"{one}_loc": c[f"{one}_loc"] + 1 for one in ("trainval", "test_seen", "test_unseen")},
            "split of x.hdf5 & from 1",
        ),
    ],
)
def test_regions_of_other_data_are_refused_with_both_sides_named(
    write_folder: Write, write_hdf5: Write, contents: Any, change: Any, facts: str
) -> None:
    folder = write_folder("res101")
    write_hdf5(folder / "x.hdf5", **change(contents))
    with pytest.raises(DataError) as caught:
        load(folder)
    assert all(fact in str(caught.value) for fact in facts.split(" & "))
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


def test_small_rounding_and_another_order_inside_a_part_are_no_disagreement(
    write_folder: Write, write_hdf5: Write, contents: Any
) -> None:
    folder = write_folder("res101")
    att = contents["att"].astype(np.float64) * (1 + 1e-7)
    write_hdf5(folder / "x.hdf5", att=att, trainval_loc=np.sort(contents["trainval_loc"]), image_files=None)
    assert load(folder).regions is not None


def test_word_vectors_and_names_of_the_data_set(
    tmp_path: Path, write_folder: Write, write_hdf5: Write, contents: Any
) -> None:
    folder = write_folder()
    write_hdf5(folder / "x.hdf5", w2v_att=None)
    assert load(folder).attribute_vectors is None
    shared = tmp_path / "attribute_vectors" / "MINI.npy"
    shared.parent.mkdir()
    np.save(shared, contents["w2v_att"].astype(np.float64))
    dataset = load(folder)
    np.testing.assert_array_equal(dataset.attribute_vectors, contents["w2v_att"])
    assert {one.array: one.file for one in dataset.sources}[
        "attribute_vectors"
    ] == "attribute_vectors/MINI.npy"
    own = contents["w2v_att"] + 1
    own[3] = 0
    np.save(folder / "attribute_vectors.npy", own)
    dataset = load(folder)
    np.testing.assert_array_equal(dataset.attribute_vectors, own)
    assert any(one.startswith("1 attributes") and "number 3" in one for one in dataset.notes)
    (folder / "attribute_names.txt").write_text("1 big\n2 2 legs\n3 furry\n4 man-made\n5 wet\n\n")
    dataset = load(folder)
    assert dataset.attribute_names == ("big", "2 legs", "furry", "man-made", "wet")
    assert any(one.startswith("1 attributes") and "man-made" in one for one in dataset.notes)
    (folder / "attribute_names.txt").write_text("big\n2 legs\nfurry\n")
    with pytest.raises(DataError, match=r"3 attribute names.* 5 attributes"):
        load(folder)
    (folder / "attribute_names.txt").unlink()
    np.save(folder / "attribute_vectors.npy", own[:2])
    with pytest.raises(DataError, match=r"vectors of 2 .*5"):
        load(folder)


def test_word_vectors_of_the_region_file_win_and_others_are_noted(
    write_folder: Write, write_hdf5: Write, contents: Any
) -> None:
    folder = write_folder()
    write_hdf5(folder / "x.hdf5")
    np.save(folder / "attribute_vectors.npy", contents["w2v_att"])
    assert not any("word vectors" in one for one in load(folder).notes)
    np.save(folder / "attribute_vectors.npy", contents["w2v_att"] + 1)
    dataset = load(folder)
    np.testing.assert_array_equal(dataset.attribute_vectors, contents["w2v_att"])
    assert any("x.hdf5" in one and "attribute_vectors.npy" in one for one in dataset.notes)


def test_names_come_with_equal_vectors(
    tmp_path: Path, write_folder: Write, write_hdf5: Write, contents: Any
) -> None:
    folder = write_folder()
    write_hdf5(folder / "x.hdf5")
    for kind in ("attribute_vectors", "attribute_names"):
        (tmp_path / kind).mkdir()
    np.save(tmp_path / "attribute_vectors" / "BIG.npy", contents["w2v_att"])
    np.save(tmp_path / "attribute_vectors" / "A.npy", contents["w2v_att"] + 1)
    for name in ("A", "BIG"):
        (tmp_path / "attribute_names" / f"{name}.txt").write_text("\n".join(name + c for c in "abcde"))
    dataset = load(folder)
    assert dataset.attribute_names == ("BIGa", "BIGb", "BIGc", "BIGd", "BIGe")
    assert any("attribute names are those of BIG.txt" in one for one in dataset.notes)


# --- the real files -------------------------------------------------------------------------------

BOUND = 0.071
"""Between means over regions and pooled features, as the data's own description has it: both are rounded."""


def test_the_real_awa2mini_agrees_with_its_pooled_features(real_data: Path) -> None:
    request = DataRequest("awa2mini", real_data / "xlsa17", features="mobilenet_v2", needs_regions=True)
    source = FolderSource(NoSettings())
    dataset = source.load(request)
    assert (regions(dataset).shape, regions(dataset).dtype) == ((747, 49, 1280), np.uint8)
    assert np.abs(regions(dataset).features - dataset.features).max() <= BOUND
    rows = np.random.default_rng(0).permutation(747)[:64]
    np.testing.assert_allclose(
        regions(dataset)[rows].mean(axis=1), regions(dataset).features[rows], rtol=1e-5, atol=1e-6
    )
    assert dataset.attribute_names is not None and dataset.attribute_vectors is not None
    assert (dataset.attribute_names[0], dataset.attribute_names[-1]) == ("black", "domestic")
    means = source.load(replace(request, features=None))
    assert means.features_name == "AWA2mini_mobilenet_v2 mean"
    np.testing.assert_array_equal(means.features, regions(dataset).features)
    np.testing.assert_array_equal(means.labels, dataset.labels)


def test_the_first_images_of_the_real_cub2010_agree_with_their_pooled_features(
    real_data: Path, tmp_path: Path
) -> None:
    """The whole file takes seconds to copy; a part of it, in the same layout, is as good a witness."""
    with (
        h5py.File(real_data / "region_features" / "CUB2010_mobilenet_v2.hdf5") as whole,
        h5py.File(tmp_path / "x.hdf5", "w") as part,
    ):
        part.create_dataset("feature_map", data=whole["feature_map"][:320], chunks=(16, 1280, 7, 7))
        part["feature_map"].attrs.update(whole["feature_map"].attrs)
        part["labels"], part["image_files"] = whole["labels"][:320], whole["image_files"][:320]
        part["w2v_att"] = whole["w2v_att"][()]
    found = find.open_regions(tmp_path / "x.hdf5")
    pooled = read_mat(real_data / "xlsa17" / "CUB2010" / "mobilenet_v2.mat", ["features", "image_files"])
    assert np.abs(found.features - np.asarray(pooled["features"])[:, :320].T).max() <= BOUND
    assert found.image_files == tuple(pooled["image_files"][:320])
    names = attribute_names(real_data / "xlsa17" / "CUB2010", 312, found.companions["attribute_vectors"])
    assert names is not None and names[1].name == "CUB.txt"
