"""The reader on the real official splits and on real features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io

from zslbench.data.matfile import read_mat
from zslbench.data.xlsa17 import read_xlsa17
from zslbench.errors import DataError


@pytest.mark.parametrize(
    ("folder", "features", "dims", "validation"),
    [
        ("AWA1", "bow_pca512", 512, 13),
        ("FLO", "mobilenet_v2_64px", 1280, 20),
        ("AWA2mini", "mobilenet_v2", 1280, 2),
    ],
)
def test_features_are_those_of_the_file(
    real_data: Path, folder: str, features: str, dims: int, validation: int
) -> None:
    path = real_data / "xlsa17" / folder
    dataset = read_xlsa17(path, name=folder.lower(), features=features)
    raw = scipy.io.loadmat(path / f"{features}.mat", variable_names=["features", "labels"])
    assert dataset.features.shape == (len(raw["labels"]), dims)
    np.testing.assert_array_equal(dataset.features, raw["features"].T)
    np.testing.assert_array_equal(dataset.labels + 1, raw["labels"][:, 0])
    assert dataset.split.validation_classes is not None
    assert len(dataset.split.validation_classes) == validation


def test_cub_classes_are_in_the_order_of_the_file_not_of_the_folder_numbers(real_data: Path) -> None:
    """Images lie in folders named like their class; an order by folder number would mix them up."""
    dataset = read_xlsa17(
        real_data / "xlsa17" / "CUB2010", name="cub2010", features="mobilenet_v2", image_files=True
    )
    assert dataset.class_names[0] == "002.Laysan_Albatross"
    assert dataset.image_files is not None
    assert [file.split("/")[0] for file in dataset.image_files] == [
        dataset.class_names[one] for one in dataset.labels
    ]
    unseen = {dataset.class_names[one] for one in np.unique(dataset.labels[dataset.split.test_unseen])}
    assert unseen == set((real_data / "xlsa17" / "CUB" / "testclasses.txt").read_text().split())


def test_class_names_sorted_by_folder_number_are_noticed(real_data: Path, tmp_path: Path) -> None:
    """The CUB trap, made on purpose: the official lists contradict names in another order."""
    original = real_data / "xlsa17" / "CUB2010"
    splits = {key: one for key, one in scipy.io.loadmat(original / "att_splits.mat").items() if key[0] != "_"}
    names = sorted(one[0][0] for one in splits["allclasses_names"])
    splits["allclasses_names"] = np.array(names, dtype=object)[:, None]
    scipy.io.savemat(tmp_path / "att_splits.mat", splits)
    (tmp_path / "mobilenet_v2.mat").symlink_to(original / "mobilenet_v2.mat")
    (tmp_path / "testclasses.txt").write_text((real_data / "xlsa17" / "CUB" / "testclasses.txt").read_text())
    with pytest.raises(DataError, match=r"testclasses\.txt and the classes of test_unseen differ"):
        read_xlsa17(tmp_path, name="cub", features="mobilenet_v2")


def test_notes_of_awa1(real_data: Path) -> None:
    dataset = read_xlsa17(
        real_data / "xlsa17" / "AWA1", name="awa1", features="bow_pca512", semantics="original_att"
    )
    assert any("4958 test_seen images" in one for one in dataset.notes)
    assert any("4 attribute values are missing" in one and "antelope" in one for one in dataset.notes)
    assert np.count_nonzero(dataset.semantics == -1) == 4


def test_flo_has_the_flowers_names_in_id_order(real_data: Path) -> None:
    folder = real_data / "xlsa17" / "FLO"
    dataset = read_xlsa17(folder, name="flo", features="mobilenet_v2_64px")
    assert dataset.class_names[0] == "pink primrose"
    assert np.unique(dataset.labels[dataset.split.test_unseen]).tolist() == list(range(20))
    assert "allclasses_names" not in read_mat(folder / "att_splits.mat", ["allclasses_names", "trainval_loc"])
