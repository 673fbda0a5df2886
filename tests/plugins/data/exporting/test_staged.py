"""Folders that come into place together."""

from __future__ import annotations

from pathlib import Path

import pytest

from zslbench.data.locations import dataset_folders
from zslbench.errors import DataError
from zslbench_data.staging import remove_abandoned, staged_folder


def contents(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text() for one in folder.rglob("*") if one.is_file()}


def test_new_files_are_added_and_others_stay(tmp_path: Path) -> None:
    target = tmp_path / "Set"
    with staged_folder(target) as aside:
        (aside / "att_splits.mat").write_text("one")
        (aside / "regions").mkdir()
        (aside / "regions" / "a").write_text("a")
        assert dataset_folders(tmp_path) == {}  # what is being written is no data set yet
    assert contents(target) == {"att_splits.mat": "one", "regions/a": "a"}
    (target / "notes.txt").write_text("the user's")
    with staged_folder(target) as aside:
        (aside / "att_splits.mat").write_text("two")
        (aside / "regions").mkdir()
        (aside / "regions" / "b").write_text("b")
    assert contents(target) == {
        "att_splits.mat": "two",
        "regions/a": "a",
        "regions/b": "b",
        "notes.txt": "the user's",
    }
    assert [one.name for one in tmp_path.iterdir()] == ["Set"]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_changes_nothing(tmp_path: Path, there: bool, error: type[BaseException]) -> None:
    target = tmp_path / "Set"
    if there:
        target.mkdir()
        (target / "att_splits.mat").write_text("one")
    with pytest.raises(error), staged_folder(target) as aside:
        (aside / "att_splits.mat").write_text("two")
        raise error
    assert [one.name for one in tmp_path.iterdir()] == (["Set"] if there else [])
    assert not there or contents(target) == {"att_splits.mat": "one"}


def test_files_left_by_a_killed_process_are_removed(tmp_path: Path) -> None:
    left = tmp_path / ".Set.0a1b.part" / "files"
    left.mkdir(parents=True)
    (left / "att_splits.mat").write_text("half")
    others = {".Other.0a1b.part", ".Set.2.0a1b.part"}
    for name in others:
        (tmp_path / name).mkdir()
    assert dataset_folders(tmp_path) == {}
    remove_abandoned(tmp_path / "Set")
    assert {one.name for one in tmp_path.iterdir()} == others


def test_stores_are_replaced_whole_and_links_too(tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "Set", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "image").write_text("mine")
    for number in ("one", "two"):
        with staged_folder(target) as aside:
            (aside / "regions" / "net").mkdir(parents=True)
            (aside / "regions" / "net" / "store.json").write_text(number)
            (aside / "regions" / "net" / number).write_text("")
            if number == "one":
                (aside / "images").symlink_to(elsewhere)
            else:
                (aside / "images").mkdir()
                (aside / "images" / "copy").write_text("copied")
    found = contents(target)
    assert found == {"regions/net/store.json": "two", "regions/net/two": "", "images/copy": "copied"}
    assert contents(elsewhere) == {"image": "mine"}
    with pytest.raises(DataError, match="folder with this name"), staged_folder(target) as aside:
        (aside / "images").symlink_to(elsewhere)
    assert contents(target) == found
