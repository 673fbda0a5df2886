"""The reader of folders yields what it could read, and every fault with its file and count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.io

from zslbench.data import (
    Findings,
    FolderContents,
    ImageLabels,
    label_files,
    read_without_features,
    read_xlsa17,
)
from zslbench.errors import DataError


def test_without_labels_parts_and_names_are_read(write_set: Any, contents: Any) -> None:
    found = FolderContents(write_set())
    assert found.findings.rows == [] and found.split is None
    assert found.class_names == ("ant", "bee", "cat", "dog", "elk", "fox")
    assert {part: len(rows) for part, rows in found.parts.items()} == {
        "trainval": 32,
        "test_seen": 8,
        "test_unseen": 20,
    }
    np.testing.assert_allclose(found.semantics, contents["att"].T, rtol=1e-6)


def test_the_rest_is_read_where_a_part_is_unusable(write_set: Any) -> None:
    folder = write_set(test_seen_loc=np.full((8, 1), 0.5), allclasses_names=None)
    found = FolderContents(folder, ImageLabels(np.repeat(np.arange(6), 10), "labels.mat"))
    assert [(one.severity, one.where, one.count) for one in found.findings.rows] == [
        ("error", "att_splits.mat", 8)
    ]
    assert set(found.parts) == {"trainval", "test_unseen"} and found.semantics is not None
    with pytest.raises(DataError) as caught:
        read_without_features(folder)
    assert caught.value.where == str(folder) and len(caught.value.faults) == 1


def test_a_splits_file_without_any_variable_is_not_a_missing_one(write_set: Any) -> None:
    folder = write_set()
    scipy.io.savemat(folder / "att_splits.mat", {"other": np.eye(2)})
    with pytest.raises(DataError) as caught:
        read_without_features(folder)
    assert len(caught.value.faults) == 3  # att, and the parts that every data set has
    (folder / "att_splits.mat").unlink()
    assert read_without_features(folder) is None


def test_files_with_labels_in_their_order(write_set: Any) -> None:
    folder = write_set()
    scipy.io.savemat(folder / "labels.mat", {"labels": np.ones((60, 1))})
    scipy.io.savemat(folder / "clip.mat", {"labels": np.ones((9, 1)), "image_files": ["a.jpg"]})
    (folder / "bad.mat").write_bytes(b"x" * 200)
    findings = Findings()
    files = list(label_files(folder, findings))
    assert [(one.file, one.image_files is not None) for one in files][:3] == [
        ("res101.mat", True),
        ("clip.mat", False),
        ("labels.mat", False),
    ]
    assert [one.where for one in findings.errors] == ["bad.mat", "clip.mat"]


# --- transposed semantics -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evidence", "origin"),
    [("names", "class names"), ("allclasses.txt", "class names"), ("labels", "labels"),
     ("attribute_names.txt", "attribute_names.txt"), ("attribute_vectors.npy", "attribute_vectors.npy")],
)  # fmt: skip
@pytest.mark.parametrize("wide", [True, False], ids=["more classes", "fewer classes"])
def test_transposed_semantics_are_refused(
    write_set: Any, contents: dict[str, Any], evidence: str, origin: str, wide: bool
) -> None:
    """By whatever else tells the number of classes or of attributes, whichever of them is larger."""
    count = 9 if wide else 4  # of attributes, beside 6 classes
    att = np.random.default_rng(0).random((count, 6))
    names = contents["allclasses_names"] if evidence == "names" else None
    # Beside other evidence, images of three classes only: labels do not tell the number of classes.
    rows = slice(None) if evidence == "labels" else slice(20, 50)
    labels = contents["labels"][rows] if evidence == "labels" else contents["labels"][rows] - 2
    few: dict[str, Any] = {"att": att.T, "original_att": None, "allclasses_names": names, "labels": labels}
    few |= {"features": contents["features"][:, rows], "image_files": None}
    folder = write_set(**few)
    if evidence == "allclasses.txt":
        (folder / evidence).write_text("ant\nbee\ncat\ndog\nelk\nfox\n", "utf-8")
    elif evidence == "attribute_names.txt":
        (folder / evidence).write_text("\n".join(f"a{one}" for one in range(count)), "utf-8")
    elif evidence == "attribute_vectors.npy":
        np.save(folder / evidence, np.ones((count, 3), dtype=np.float32))
    with pytest.raises(DataError, match="transposed") as caught:
        read_xlsa17(folder, name="mini")
    (fault,) = [one for one in caught.value.faults if "transposed" in one]
    assert origin in fault
    assert f"{count} classes by 6 attributes" in fault


@pytest.mark.parametrize("name", ["original_att", "sentence"])
def test_other_semantics_may_be_transposed_too(write_set: Any, contents: dict[str, Any], name: str) -> None:
    wrong = np.random.default_rng(0).random((6, 9))
    folder = write_set(**({"original_att": wrong} if name == "original_att" else {}))
    scipy.io.savemat(folder / "sent_splits.mat", {"att": wrong})
    file = "att_splits.mat" if name == "original_att" else "sent_splits.mat"
    with pytest.raises(DataError, match=rf"{file}: .*transposed\?"):
        read_xlsa17(folder, name="mini", semantics=name)
    assert read_xlsa17(folder, name="mini").semantics.shape == (6, 3)


def test_semantics_that_are_right_are_not_taken_for_transposed(
    write_set: Any, contents: dict[str, Any]
) -> None:
    """Six attributes, as many as classes with images, of nine classes: the names settle it."""
    att = np.random.default_rng(0).random((6, 9))
    names = np.concatenate([contents["allclasses_names"], [["gnu"], ["hen"], ["imp"]]])
    folder = write_set(att=att, original_att=None, allclasses_names=names)
    assert read_xlsa17(folder, name="mini").semantics.shape == (9, 6)
    with pytest.raises(DataError, match="transposed"):
        read_xlsa17(write_set(att=att, original_att=None, allclasses_names=None), name="mini")
