"""A large file of features is parsed once; what is kept of it is used only while it is what was parsed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from zslbench.data import features, once
from zslbench.data.features import read_features
from zslbench.data.validate import Findings

VALUES = np.arange(12.0).reshape(3, 4)  # three features of four images


@pytest.fixture(autouse=True)
def parses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All files are large and changed long ago; names of the files that are parsed."""
    monkeypatch.setenv("ZSLBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(features, "LARGE", 0)
    monkeypatch.setattr(once, "_SETTLED", -1)
    parsed, parse = list[str](), features._parse

    def counted(path: Path, findings: Findings) -> np.ndarray | None:
        parsed.append(path.name)
        return parse(path, findings)

    monkeypatch.setattr(features, "_parse", counted)
    return parsed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.mat"
    scipy.io.savemat(path, {"features": VALUES, "labels": np.ones((4, 1))})
    return path


def read(path: Path) -> np.ndarray:
    findings = Findings()
    rows = read_features(path, findings)
    findings.raise_errors(path)
    assert rows is not None
    return rows


def kept(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache" / "features").glob("*.npy"))


def test_a_file_is_parsed_once_and_then_mapped_read_only(file: Path, parses: list[str]) -> None:
    first, second = read(file), read(file)
    assert parses == ["net.mat"]
    for rows in (first, second):
        np.testing.assert_array_equal(rows, VALUES.T.astype(np.float32))
        assert rows.dtype == np.float32 and rows.flags.c_contiguous
    assert isinstance(second.base, np.memmap) and not second.flags.writeable


def test_of_several_readers_one_parses(file: Path, parses: list[str]) -> None:
    with ThreadPoolExecutor(8) as pool:
        for rows in pool.map(read, [file] * 8):
            np.testing.assert_array_equal(rows, VALUES.T)
    assert parses == ["net.mat"]


def test_a_changed_file_is_parsed_again_and_replaces_what_was_kept(
    file: Path, tmp_path: Path, parses: list[str]
) -> None:
    before = read(file)
    scipy.io.savemat(file, {"features": VALUES + 1, "labels": np.ones((4, 1))})
    np.testing.assert_array_equal(read(file), VALUES.T + 1)
    np.testing.assert_array_equal(before, VALUES.T)  # who has mapped it keeps it
    assert len(parses) == 2 and len(kept(tmp_path)) == 1


def test_files_of_one_name_in_two_folders_do_not_replace_each_other(
    file: Path, tmp_path: Path, parses: list[str]
) -> None:
    other = tmp_path / "other" / file.name
    other.parent.mkdir()
    scipy.io.savemat(other, {"features": -VALUES})
    for _ in range(2):
        np.testing.assert_array_equal(read(file), VALUES.T)
        np.testing.assert_array_equal(read(other), -VALUES.T)
    assert len(parses) == 2


@pytest.mark.parametrize("damage", ["a value", "cut off", "empty"])
def test_damage_to_what_is_kept_is_noticed(
    file: Path, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture, parses: list[str]
) -> None:
    read(file)
    (path,) = kept(tmp_path)
    data = path.read_bytes()
    changed = {"a value": data[:-1] + bytes([data[-1] ^ 1]), "cut off": data[:-4], "empty": b""}
    path.write_bytes(changed[damage])
    np.testing.assert_array_equal(read(file), VALUES.T)
    assert str(path) in caplog.text and len(parses) == 2
    read(file)
    assert len(parses) == 2


def test_a_cache_that_cannot_be_written_costs_time_only(
    file: Path, tmp_path: Path, parses: list[str]
) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    for _ in range(2):
        np.testing.assert_array_equal(read(file), VALUES.T)
    assert len(parses) == 2


def test_a_file_that_changed_just_now_is_not_kept(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "_SETTLED", 10**12)
    np.testing.assert_array_equal(read(file), VALUES.T)
    assert not kept(tmp_path)


def test_a_file_without_a_matrix_is_a_finding_each_time(file: Path, tmp_path: Path) -> None:
    scipy.io.savemat(file, {"features": np.ones((2, 2, 2))})
    for _ in range(2):
        findings = Findings()
        assert read_features(file, findings) is None
        assert len(findings.errors) == 1
    assert not kept(tmp_path)
