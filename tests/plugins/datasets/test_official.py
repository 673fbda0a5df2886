"""The six official data sets: counts, fingerprints, names, and what is said when features are missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from zslbench.data.matfile import read_mat
from zslbench.errors import DataError, MissingData, UnknownName
from zslbench.evaluation.splits import fingerprint, validation_split
from zslbench.plugin.dataset import DataRequest
from zslbench.plugin.settings import NoSettings
from zslbench_data import catalogue
from zslbench_datasets import OFFICIAL, zslbench_components
from zslbench_datasets.official import OfficialSource

# The table of published fingerprints: trainval, test_seen, test_unseen, train, val.
FINGERPRINTS = {
    "CUB": "251bff0e5a54 b0382faf3293 dc55f2a77020 cb2fec8deea1 c1063e55f9f4",
    "SUN": "9629782b44d8 8d13037a74ac 46ec8f035d83 5e8e9178dd25 2b7ee7800633",
    "AWA2": "e4df08f0f992 dfc2379830ec 8b0ae2ed0694 38c72cda9c9b 3b7dbce11a1f",
    "AWA1": "db46f80915d8 f8a51b42fcbe 2c97a24f41cb 8977276ffc7b be75e190b488",
    "FLO": "53c404b71d37 83f704e6b4ad 1d5db8ec05eb 349d2426cb1f 1d7dd28dbf81",
    "APY": "4108297135fd bbc9c12ad3cc adc17827951c",
}
# classes, seen, attributes, images, trainval, test_seen, test_unseen, validation classes
COUNTS = {
    "CUB": (200, 150, 312, 11788, 7057, 1764, 2967, 50),
    "SUN": (717, 645, 102, 14340, 10320, 2580, 1440, 65),
    "AWA1": (50, 40, 85, 30475, 19832, 4958, 5685, 13),
    "AWA2": (50, 40, 85, 37322, 23527, 5882, 7913, 13),
    "FLO": (102, 82, 1024, 8189, 5631, 1403, 1155, 20),
}
SOURCE = OfficialSource(NoSettings())


@pytest.mark.parametrize("folder", FINGERPRINTS)
def test_fingerprints_of_the_files(real_data: Path, folder: str) -> None:
    parts = ["trainval_loc", "test_seen_loc", "test_unseen_loc", "train_loc", "val_loc"]
    read = read_mat(real_data / "xlsa17" / folder / "att_splits.mat", parts)
    found = [fingerprint(np.ravel(read[part]).astype(np.int64) - 1) for part in parts if part in read]
    assert found == FINGERPRINTS[folder].split()
    assert tuple(found[:3]) == catalogue().entry(folder.lower()).split


@pytest.mark.parametrize("folder", COUNTS)
def test_official_counts_end_to_end(with_features: Callable[[str], Path], folder: str) -> None:
    root = with_features(folder)
    dataset = SOURCE.load(DataRequest(folder.lower(), root))
    split = dataset.split
    assert split.validation_classes is not None
    assert COUNTS[folder] == (
        len(dataset.class_names),
        len(np.unique(dataset.labels[split.trainval])),
        dataset.semantics.shape[1],
        len(dataset.labels),
        len(split.trainval),
        len(split.test_seen),
        len(split.test_unseen),
        len(split.validation_classes),
    )
    assert dataset.finetuned is False
    assert dataset.semantics_name == "att"
    assert dataset.extra["semantics_kind"] == ("text embedding" if folder == "FLO" else "attributes")
    assert not any("fingerprint" in one for one in dataset.notes)
    listed = root / folder / "testclasses.txt"
    if listed.is_file():
        unseen = np.unique(dataset.labels[split.test_unseen])
        assert {dataset.class_names[one] for one in unseen} == set(listed.read_text().split())
    inside = validation_split(dataset)
    trainval = np.concatenate([inside.fit_rows, inside.test_seen_rows, inside.test_unseen_rows])
    assert np.array_equal(np.sort(trainval), np.sort(split.trainval))


def test_cub_sentences(with_features: Callable[[str], Path]) -> None:
    dataset = SOURCE.load(DataRequest("cub", with_features("CUB"), semantics="sentence"))
    assert dataset.semantics.shape == (200, 1024)
    assert dataset.extra["semantics_kind"] == "text embedding"


@pytest.mark.parametrize("name", OFFICIAL)
def test_without_features_the_message_names_the_file_and_the_archive(real_data: Path, name: str) -> None:
    with pytest.raises(MissingData) as caught:
        SOURCE.load(DataRequest(name, real_data))
    message = str(caught.value)
    assert str(real_data / "xlsa17" / name.upper()) in message
    for part in ("res101.mat", "xlsa17.zip", "--data-root", "ZSLBENCH_DATA"):
        assert part in message
    assert ("--features bow_pca512" in message) == (name == "awa1")
    assert ("--features mobilenet_v2_64px" in message) == (name == "flo")


@pytest.mark.parametrize(("name", "size"), [("sun", "11.5 GB"), ("cub", "9.5 GB"), ("awa2", "30 GB")])
def test_a_method_on_regions_lists_every_step_to_get_them(tmp_path: Path, name: str, size: str) -> None:
    with pytest.raises(MissingData) as caught:
        SOURCE.load(DataRequest(name, tmp_path, needs_regions=True))
    message, ds = str(caught.value), name.upper()
    for part in (
        f"no folder {ds} in {tmp_path}",
        f"(1) zslbench data get {name} --what splits (xlsa17.zip, 920 MB",
        f"(2) zslbench data get {name} --images",
        f"(3) zslbench data extract {name} --backbone resnet101 (writes {size} in float16",
    ):
        assert part in message
    assert "\n" not in message


def test_only_the_missing_region_file_is_reported(
    with_features: Callable[[str], Path],
) -> None:
    root = with_features("SUN")
    (root / "SUN" / "images").mkdir()
    with pytest.raises(MissingData) as caught:
        SOURCE.load(DataRequest("sun", root, needs_regions=True))
    message = str(caught.value)
    assert "feature_map_ResNet_101_SUN.hdf5" in message
    assert "To get them: zslbench data extract sun --backbone resnet101" in message
    assert "zslbench data get" not in message
    for name in ("apy", "awa1"):  # whose images no command downloads
        with pytest.raises(MissingData, match="region store"):
            SOURCE.load(DataRequest(name, root, needs_regions=True))


def test_a_real_format_folder_with_a_region_file_is_all_that_it_takes(
    real_data: Path, tmp_path: Path
) -> None:
    """SUN after extraction, with its real labels, split and attributes; res101.mat is not needed any more."""
    folder = tmp_path / "SUN"
    folder.mkdir()
    original = real_data / "xlsa17" / "SUN"
    (folder / "att_splits.mat").symlink_to(original / "att_splits.mat")
    splits = scipy.io.loadmat(original / "att_splits.mat")
    labels = scipy.io.loadmat(original / "labels.mat", variable_names=["labels"])["labels"]
    random = np.random.default_rng(0)
    contents = {
        "feature_map": random.random((14340, 4, 2, 2), dtype=np.float32),
        "labels": labels.ravel().astype(np.int64) - 1,
        **{
            f"{one}_loc": splits[f"{one}_loc"].ravel() - 1 for one in ("trainval", "test_seen", "test_unseen")
        },
        "att": splits["att"].T,
        "original_att": splits["original_att"].T,
        "w2v_att": np.load(real_data / "attribute_vectors" / "SUN.npy"),
    }
    path = folder / "feature_map_ResNet_101_SUN.hdf5"

    def write(**changes: np.ndarray) -> None:
        with h5py.File(path, "w") as file:
            for key, value in (contents | changes).items():
                file[key] = value

    write()
    dataset = SOURCE.load(DataRequest("sun", tmp_path, needs_regions=True))
    assert dataset.features_name == "feature_map_ResNet_101_SUN mean"
    assert dataset.regions is not None and dataset.regions.shape == (14340, 4, 4)
    assert any("1 attributes" in one and "number 88" in one for one in dataset.notes)
    order = np.roll(np.arange(102), 1)
    write(att=splits["att"].T[:, order], w2v_att=contents["w2v_att"][order])
    with pytest.raises(DataError, match=r"attribute order differs .*feature_map_ResNet_101_SUN"):
        SOURCE.load(DataRequest("sun", tmp_path, needs_regions=True))
    write(att=np.sort(splits["att"].T, axis=0)[::-1][:, :85])
    with pytest.raises(DataError, match=r"85 attributes.* 717 by 102"):
        SOURCE.load(DataRequest("sun", tmp_path, needs_regions=True))


def test_folders_are_found_in_upper_and_lower_case(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "flo").symlink_to(real_data / "xlsa17" / "FLO")
    dataset = SOURCE.load(DataRequest("FLO", tmp_path, features="mobilenet_v2_64px"))
    assert (dataset.name, dataset.features.shape) == ("flo", (8189, 1280))
    assert dataset.finetuned is None
    with pytest.raises(MissingData, match=r"no folder AWA2 in .*xlsa17\.zip"):
        SOURCE.load(DataRequest("awa2", tmp_path))
    with pytest.raises(UnknownName, match="did you mean 'cub'"):
        SOURCE.load(DataRequest("cubs", tmp_path))


def test_other_data_under_an_official_name_is_refused(real_data: Path, tmp_path: Path) -> None:
    (tmp_path / "AWA2").symlink_to(real_data / "xlsa17" / "AWA2mini")
    with pytest.raises(DataError, match=r"747 images.* 37322.*8 classes.* 50.*2 unseen"):
        SOURCE.load(DataRequest("awa2", tmp_path, features="mobilenet_v2"))


def test_another_split_of_the_right_size_is_noted(with_features: Callable[[str], Path]) -> None:
    root = with_features("FLO")
    path = root / "FLO" / "att_splits.mat"
    splits = {key: one for key, one in scipy.io.loadmat(path).items() if key[0] != "_"}
    labels = SOURCE.load(DataRequest("flo", root)).labels
    trainval, test_seen = splits["trainval_loc"], splits["test_seen_loc"]
    twin = np.flatnonzero(labels[trainval[:, 0] - 1] == labels[test_seen[0, 0] - 1])[0]
    trainval[twin], test_seen[0] = test_seen[0].copy(), trainval[twin].copy()
    path.unlink()
    scipy.io.savemat(path, splits)
    dataset = SOURCE.load(DataRequest("flo", root))
    assert any("published" in one and "53c404b71d37" in one for one in dataset.notes)


def test_every_official_data_set_is_registered() -> None:
    components = {one.name: one for one in zslbench_components()}
    assert set(components) == {*OFFICIAL, "toy", "sim-cub", "sim-sun", "sim-awa2"}
    assert all(one.kind == "dataset" for one in components.values())
