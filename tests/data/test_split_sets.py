"""Names that mean several splits of one data set."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from zslbench.data.split_sets import find_splits, in_natural_order, in_split_set, whole_name
from zslbench.errors import DataError, UnknownName


def split(root: Path, name: str, *, complete: bool = True) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    if complete:
        (folder / "att_splits.mat").touch()
    return folder


def test_splits_are_found_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 1, 2, 20):
        split(tmp_path, f"HMDB51/Split_{number}")
    split(tmp_path, "HMDB51/images", complete=False)
    split(tmp_path, "HMDB51/.begun")
    split(tmp_path, "UCF101/split_1")
    found = find_splits("Hmdb51/*", tmp_path)
    assert found.name == "hmdb51/*"
    assert found.splits == tuple(f"hmdb51/split_{number}" for number in (1, 2, 10, 20))
    assert found.left_out == ("images",)
    assert find_splits("hmdb51/split_2*", tmp_path).splits == ("hmdb51/split_2", "hmdb51/split_20")
    assert find_splits("folder:hmdb51/*", tmp_path).splits == found.splits


def test_splits_at_any_depth(tmp_path: Path) -> None:
    split(tmp_path, "video/hmdb51/a [x]")
    assert find_splits("video/hmdb51/*", tmp_path).splits == ("video/hmdb51/a [x]",)
    assert find_splits("video/hmdb51/a [*", tmp_path).splits == ("video/hmdb51/a [x]",)
    with pytest.raises(UnknownName):
        find_splits("video/*", tmp_path)


@pytest.mark.parametrize(
    "name", ["../*", "/etc/*", "small/../*", "*", "*/split_1", "small/*/x", "./*", "small//*", "small/"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    split(tmp_path, "small/split_1")
    split(tmp_path, "split_1")
    with pytest.raises(UnknownName):
        find_splits(name, tmp_path / "small" if name == "../*" else tmp_path)


@pytest.mark.parametrize("name", ["nowhere/*", "small/x*", "empty/*"])
def test_a_name_that_means_nothing_is_an_error(tmp_path: Path, name: str) -> None:
    split(tmp_path, "small/split_1")
    split(tmp_path, "empty", complete=False)
    with pytest.raises(UnknownName):
        find_splits(name, tmp_path)


def test_no_split_is_left_out_for_its_name(tmp_path: Path) -> None:
    split(tmp_path, "small/split_1")
    split(tmp_path, "small/SPLIT_1")
    split(tmp_path, "small/-2")
    with pytest.raises(DataError) as error:
        find_splits("small/*", tmp_path)
    twice, misnamed = sorted(error.value.faults, key=lambda fault: "-2" in fault)
    assert "small/SPLIT_1" in twice and "small/split_1" in twice
    assert "small/-2" in misnamed


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_numbers_are_ordered_by_value(numbers: list[int]) -> None:
    names = [f"set 2/split_{one}" for one in numbers]
    assert in_natural_order(names) == [f"set 2/split_{one}" for one in sorted(numbers)]


@given(st.text(min_size=1), st.text(min_size=1))
def test_only_the_folder_s_own_data_sets_match(folder: str, name: str) -> None:
    if not {"/", "*"} & {*folder, *name} and folder.strip() == folder and name.strip() == name:
        assert in_split_set(f"set/{folder}/*", f"set/{folder}/{name}")
        assert not in_split_set(f"set/{folder}/*", f"set/{folder}")
        assert not in_split_set(f"set/{folder}/*", f"set/{folder}/{name}/deeper")
        assert whole_name(f"set/{folder}/*") == f"set/{folder}"
