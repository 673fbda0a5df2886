"""Reading the xlsa17 format, on a small set with contents small enough to count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io

from zslbench.data.provenance import array_sha256
from zslbench.data.xlsa17 import FolderSource, read_xlsa17
from zslbench.errors import DataError, MissingData, UnknownName
from zslbench.plugin.dataset import DataRequest
from zslbench.plugin.settings import NoSettings

COUNTS = {
    "images": 60, "classes": 6, "unseen": 2, "attributes": 3, "sentence": 4,
    "trainval": 32, "test_seen": 8, "test_unseen": 20,
}  # fmt: skip


@pytest.mark.parametrize("version", ["5", "7", "7.3"])
def test_arrays_are_zero_based_rows_of_images_and_classes(
    write_set: Any, contents: Any, version: str
) -> None:
    dataset = read_xlsa17(write_set(version=version), name="mini", expected=COUNTS, image_files=True)
    np.testing.assert_allclose(dataset.features, contents["features"].T, rtol=1e-6)
    assert dataset.features.dtype == np.float32
    assert dataset.features.flags.c_contiguous
    np.testing.assert_allclose(dataset.semantics, contents["att"].T, rtol=1e-6)
    assert dataset.labels.tolist() == np.repeat(range(6), 10).tolist()
    assert dataset.class_names == ("ant", "bee", "cat", "dog", "elk", "fox")
    assert dataset.split.trainval.tolist() == (contents["trainval_loc"].ravel() - 1).tolist()  # file order
    assert dataset.split.test_seen.tolist() == [8, 9, 18, 19, 28, 29, 38, 39]
    assert dataset.split.test_unseen.tolist() == list(range(40, 60))
    assert dataset.split.validation_classes is not None
    assert dataset.split.validation_classes.tolist() == [3]
    assert dataset.image_files is not None and dataset.image_files[59] == "images/59.jpg"
    assert (dataset.features_name, dataset.semantics_name) == ("res101", "att")


def test_sources_have_the_digest_of_every_array_used(write_set: Any) -> None:
    dataset = read_xlsa17(write_set(), name="mini")
    sources = {one.array: one for one in dataset.sources}
    assert set(sources) == {"features", "labels", "semantics", "trainval", "test_seen", "test_unseen"}
    assert sources["features"].file == "Mini/res101.mat"
    assert sources["features"].sha256 == array_sha256(dataset.features)
    assert sources["test_unseen"].file == "Mini/att_splits.mat"


def test_unsigned_numbers_do_not_wrap(write_set: Any, contents: Any) -> None:
    """The files hold uint8 and uint16: 0 - 1 must be -1, not 255, which may be a class."""
    labels, test_seen = contents["labels"].copy(), contents["test_seen_loc"].copy()
    labels[0] = test_seen[0] = 0
    with pytest.raises(DataError) as caught:
        read_xlsa17(write_set(labels=labels, test_seen_loc=test_seen), name="mini")
    assert "1 labels" in str(caught.value) and "(-1)" in str(caught.value)
    assert "test_seen: 1 indices" in str(caught.value)


def test_semantics_by_name(write_set: Any, contents: Any) -> None:
    folder = write_set()
    original = read_xlsa17(folder, name="mini", semantics="original_att")
    np.testing.assert_allclose(original.semantics, contents["original_att"].T, rtol=1e-6)
    with pytest.raises(MissingData, match=r"sent_splits\.mat is missing"):
        read_xlsa17(folder, name="mini", semantics="sentence")
    sentences = {"att": np.ones((4, 6)), "trainval_loc": np.sort(contents["trainval_loc"], axis=0)}
    sentences["allclasses_names"] = contents["allclasses_names"]
    scipy.io.savemat(folder / "sent_splits.mat", sentences)
    dataset = read_xlsa17(folder, name="mini", semantics="sentence", expected=COUNTS)
    with pytest.raises(DataError, match="4 columns of sentence embeddings, officially 9"):
        read_xlsa17(folder, name="mini", semantics="sentence", expected={**COUNTS, "sentence": 9})
    assert dataset.semantics.tolist() == np.ones((6, 4)).tolist()
    assert [one.file for one in dataset.sources if one.array == "semantics"] == ["Mini/sent_splits.mat"]
    sentences["allclasses_names"] = contents["allclasses_names"][::-1]
    scipy.io.savemat(folder / "sent_splits.mat", sentences)
    with pytest.raises(DataError, match="allclasses_names differs"):
        read_xlsa17(folder, name="mini", semantics="sentence")
    with pytest.raises(UnknownName, match="did you mean 'att'"):
        read_xlsa17(folder, name="mini", semantics="atts")
    with pytest.raises(DataError, match="no variable 'original_att'"):
        read_xlsa17(write_set(original_att=None), name="mini", semantics="original_att")


def test_missing_attribute_values_are_kept_and_noted(write_set: Any, contents: Any) -> None:
    original = contents["original_att"].copy()
    original[:2, 1] = -1
    dataset = read_xlsa17(write_set(original_att=original), name="mini", semantics="original_att")
    assert dataset.semantics[1, 0] == -1
    assert any("2 attribute values" in one and "bee" in one for one in dataset.notes)


def test_names_without_allclasses_names(write_set: Any) -> None:
    folder = write_set(allclasses_names=None)
    assert read_xlsa17(folder, name="mini").class_names[:2] == ("class_001", "class_002")
    names = ["a b", "b", "c", "d", "e", "f"]
    (folder / "allclasses.txt").write_text("\n".join(names) + "\n")
    dataset = read_xlsa17(folder, name="mini")
    assert dataset.class_names == tuple(names)
    assert any("allclasses.txt" in one for one in dataset.notes)
    (folder / "testclasses.txt").write_text("e\nf\n")
    assert read_xlsa17(folder, name="mini").class_names == tuple(names)
    (folder / "allclasses.txt").write_text("\n".join(names[:5]))
    (folder / "testclasses.txt").unlink()
    assert read_xlsa17(folder, name="mini").class_names[5] == "class_006"


def test_a_class_list_in_another_order_is_not_taken_for_the_names(write_set: Any) -> None:
    folder = write_set(allclasses_names=None)
    (folder / "allclasses.txt").write_text("f\ne\nd\nc\nb\na\n")
    (folder / "testclasses.txt").write_text("e\nf\n")
    with pytest.raises(DataError, match=r"testclasses\.txt .*2 unknown classes"):
        read_xlsa17(folder, name="mini")


def test_unseen_classes_must_be_those_of_testclasses(write_set: Any) -> None:
    folder = write_set()
    (folder / "testclasses.txt").write_text("elk\ndog\n")
    with pytest.raises(DataError, match=r"testclasses\.txt .*2 classes"):
        read_xlsa17(folder, name="mini")


def validation_of(folder: Path) -> list[int] | None:
    found = read_xlsa17(folder, name="mini").split.validation_classes
    return None if found is None else found.tolist()


def test_validation_classes_of_version_2_of_intersected_and_of_poorer_copies(
    write_set: Any, contents: Any
) -> None:
    folder = write_set()
    assert any("8 test_seen images" in one for one in read_xlsa17(folder, name="mini").notes)
    assert validation_of(folder) == [3]
    both = {
        key: np.intersect1d(contents[key], contents["trainval_loc"])[:, None]
        for key in ("train_loc", "val_loc")
    }
    folder = write_set(**both)
    assert any("(24 and 8 images)" in one for one in read_xlsa17(folder, name="mini").notes)
    assert validation_of(folder) == [3]
    folder = write_set(train_loc=None, val_loc=None)
    assert validation_of(folder) is None
    (folder / "valclasses1.txt").write_text("bee\nant\n")
    assert validation_of(folder) == [0, 1]
    (folder / "valclasses1.txt").write_text("bee\nwasp\n")
    with pytest.raises(DataError, match=r"valclasses1\.txt .*\(wasp\)"):
        validation_of(folder)


def test_wrong_validation_locations_are_refused(write_set: Any, contents: Any) -> None:
    val = contents["val_loc"]
    folder = write_set(val_loc=np.append(val, [[41], [42]], axis=0))
    with pytest.raises(DataError, match=r"2 test_unseen images.*1 validation classes"):
        validation_of(folder)
    with pytest.raises(DataError, match="share 1 classes"):
        validation_of(write_set(val_loc=np.append(val, [[1]], axis=0)))
    with pytest.raises(DataError, match=r"1 indices .*60"):
        validation_of(write_set(val_loc=np.append(val, [[61]], axis=0)))
    folder = write_set()
    (folder / "valclasses1.txt").write_text("cat\n")
    with pytest.raises(DataError, match=r"valclasses1\.txt .*2 classes \(cat, dog\)"):
        validation_of(folder)


def test_all_faults_come_in_one_message_that_names_the_folder(write_set: Any, contents: Any) -> None:
    features, labels = contents["features"].copy(), contents["labels"].copy()
    features[0, :3] = np.nan
    labels[0] = 9
    folder = write_set(features=features, labels=labels)
    with pytest.raises(DataError) as caught:
        read_xlsa17(folder, name="mini", expected={**COUNTS, "attributes": 312, "test_seen": 9})
    message = str(caught.value)
    for part in (
        str(folder),
        "3 NaN",
        "1 labels outside",
        "officially 312",
        "officially 9",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"features": np.ones((60, 5))}, "60 x 5 & labels 60"),
        ({"labels": None}, "res101.mat & 'labels'"),
        ({"labels": np.full((60, 1), 1.5)}, "60 values & labels"),
        ({"labels": np.full((60, 1), np.nan)}, "60 values & labels"),
        ({"labels": np.ones((30, 2))}, "labels & (30, 2)"),
        (
            {"att": None, "trainval_loc": None},
            "'att' & att_splits.mat & 'trainval_loc'",
        ),
        ({"features": np.array(["words"])}, "features & text"),
        ({"features": np.full((5, 60), 1e300)}, "300 infinite values"),
        ({"att": np.ones((3, 7))}, "7 classes & names of 6"),
        ({"test_unseen_loc": np.zeros((0, 1))}, "test_unseen is empty"),
    ],
)
def test_faults_of_files(write_set: Any, changes: dict[str, Any], facts: str) -> None:
    with pytest.raises(DataError) as caught:
        read_xlsa17(write_set(**changes), name="mini")
    assert all(fact in str(caught.value) for fact in facts.split(" & "))


def test_missing_files_come_with_existing_ones_and_advice(write_set: Any, tmp_path: Path) -> None:
    folder = write_set(stem="bow_pca512")
    scipy.io.savemat(folder / "labels.mat", {"labels": np.ones((60, 1))})
    with pytest.raises(MissingData) as caught:
        read_xlsa17(folder, name="mini", expected={})
    for part in (
        str(folder),
        "res101.mat is missing",
        "Found: bow_pca512; pass --features bow_pca512",
        "xlsa17.zip",
        "--data-root",
        "ZSLBENCH_DATA",
    ):
        assert part in str(caught.value)
    assert read_xlsa17(folder, name="mini", features="bow_pca512.mat").features_name == "bow_pca512"
    (folder / "att_splits.mat").unlink()
    with pytest.raises(MissingData, match=r"att_splits\.mat is missing; res101\.mat is missing"):
        read_xlsa17(folder, name="mini")
    for name in ("../Mini/bow_pca512", ""):
        with pytest.raises(UnknownName, match=r"name of a \.mat file"):
            read_xlsa17(folder, name="mini", features=name)


def test_any_folder_is_a_data_set_under_its_own_name(write_set: Any, tmp_path: Path) -> None:
    write_set("MyBirds", stem="clip")
    source = FolderSource(NoSettings())
    dataset = source.load(DataRequest("mybirds", tmp_path, features="clip"))
    assert (dataset.name, dataset.features.shape) == ("mybirds", (60, 5))
    with pytest.raises(MissingData, match=r"no folder fish in .* \(found: MyBirds\)"):
        source.load(DataRequest("fish", tmp_path))
    with pytest.raises(MissingData, match="found: no data sets"):
        source.load(DataRequest("fish", tmp_path / "nowhere"))
