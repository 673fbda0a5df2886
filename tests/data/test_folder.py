"""The reader of folders yields what it could read, and every fault with its file and count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.io

from zslbench.data import Findings, FolderContents, ImageLabels, label_files, read_without_features
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
    assert len(caught.value.faults) == 4  # att and the three parts
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
