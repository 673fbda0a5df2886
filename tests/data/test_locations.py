"""Where data sets are searched for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from zslbench.data.locations import data_root, dataset_folders, find_folder, misnamed_folders
from zslbench.errors import DataError


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / "att_splits.mat").touch()


def test_option_before_environment_before_user_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZSLBENCH_DATA", str(tmp_path / "env"))
    assert data_root(tmp_path / "option") == tmp_path / "option"
    assert data_root(None) == tmp_path / "env"
    monkeypatch.delenv("ZSLBENCH_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    assert data_root().parts[-2:] == ("zslbench", "data")


@pytest.mark.parametrize("inside", ["", "xlsa17", "xlsa17/data", "data"])
def test_archive_its_parent_and_the_folder_itself_work(tmp_path: Path, inside: str) -> None:
    make(tmp_path / inside, "CUB")
    assert data_root(str(tmp_path)) == tmp_path / inside
    assert data_root(data_root(tmp_path)) == tmp_path / inside


def test_data_sets_directly_in_the_root_win(tmp_path: Path) -> None:
    make(tmp_path, "Mine", "xlsa17/CUB")
    assert data_root(tmp_path) == tmp_path


def test_folders_by_lower_case_name(tmp_path: Path) -> None:
    make(tmp_path, "CUB2010", "AWA2mini")
    (tmp_path / "notes").mkdir()
    assert dataset_folders(tmp_path) == {"cub2010": tmp_path / "CUB2010", "awa2mini": tmp_path / "AWA2mini"}
    assert dataset_folders(tmp_path / "nowhere") == {}
    assert find_folder(tmp_path, "NOTES") == tmp_path / "notes"
    assert find_folder(tmp_path, "sun") is None


def test_names_that_differ_in_case_alone_are_ambiguous(tmp_path: Path) -> None:
    make(tmp_path, "CUB")
    try:
        make(tmp_path, "cub")
    except FileExistsError:
        pytest.skip("this file system does not tell upper from lower case")
    with pytest.raises(DataError, match="CUB and cub"):
        dataset_folders(tmp_path)


@pytest.mark.parametrize("name", ["a:b", "-x", "CUB.", "aux", "鳥" * 51, "more/a:b", "a\u200bb"])
def test_a_folder_left_out_for_its_name_is_named(tmp_path: Path, name: str) -> None:
    make(tmp_path, "CUB", name)
    assert list(dataset_folders(tmp_path)) == ["cub"]
    (line,) = misnamed_folders(tmp_path)
    assert repr(name) in line
    assert misnamed_folders(tmp_path / "nowhere") == []


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys, zslbench_datasets, zslbench.data; zslbench.data.data_root();"
        "list(zslbench_datasets.zslbench_components());"
        "print([m for m in ('numpy', 'torch', 'pandas', 'scipy', 'h5py', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
