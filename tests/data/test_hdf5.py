"""Hostile HDF5 files end with one line, soon, and never with the process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from zslbench.data import hdf5, once
from zslbench.data.matfile import read_mat
from zslbench.data.regions.find import region_files
from zslbench.data.regions.hdf5 import RegionFile
from zslbench.errors import DataError


def claim(file: h5py.File) -> None:
    file.create_dataset("feature_map", shape=(10**7, 2048, 14, 14), chunks=(1, 2048, 14, 14), dtype="f4")


def claim_names(file: h5py.File) -> None:
    file.create_dataset("image_files", shape=(10**9,), chunks=(10**6,), dtype=h5py.string_dtype())


def external(file: h5py.File) -> None:
    file["labels"] = h5py.ExternalLink("pipe", "/labels")


def external_values(file: h5py.File) -> None:
    file.create_dataset("labels", (60,), "i8", external=[("pipe", 0, h5py.h5f.UNLIMITED)])


def attribute(file: h5py.File) -> None:
    file["labels"] = np.zeros(60, int)
    file["labels"].attrs.create("scale", np.zeros(1 << 18))


def entries(file: h5py.File) -> None:
    for number in range(hdf5._MOST_ENTRIES + 1):
        file.create_group(str(number))


def write(path: Path, *changes: Callable[[h5py.File], None], features: bool = True) -> Path:
    with h5py.File(path, "w", libver="latest") as file:
        if features and claim not in changes:
            file["feature_map"] = np.zeros((60, 16, 2, 2), np.float32)
        if features and external not in changes:
            file["labels" if not changes else "other"] = np.zeros(60, int)
        for change in changes:
            change(file)
    return path


@pytest.mark.parametrize(("change", "words"), [
    (claim, "feature_map.* claims"), (claim_names, "image_files.* claims"),
    (external, "labels.* another file"),
    (external_values, "labels.* another file"), (attribute, "attribute 'scale' of 2097152 bytes"),
    (entries, "more than 1000"),
])  # fmt: skip
def test_claims_and_links_are_refused_before_they_are_followed(
    tmp_path: Path, change: Callable[[h5py.File], None], words: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = write(tmp_path / "a.h5", change)
    began = time.monotonic()
    for read in (RegionFile, lambda one: read_mat(one, {"labels", "features"})):
        with pytest.raises(DataError, match=words) as caught:
            read(path)
        assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(("name", "value"), [
    ("scale", "text"), ("scale", np.zeros((0,))), ("scale", h5py.Empty("f4")), ("scale", -1.0),
    ("scale", np.nan),
    ("layout", 7), ("layout", np.zeros(3)), ("simulated", np.zeros(3)), ("backbone", np.zeros(1)),
])  # fmt: skip
def test_odd_attributes_are_one_line_or_ignored(tmp_path: Path, name: str, value: Any) -> None:
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["feature_map"].attrs[name] = value
    try:
        assert RegionFile(path).shape == (60, 4, 16)
    except DataError as error:
        assert "\n" not in str(error)


@pytest.fixture
def examiner(monkeypatch: pytest.MonkeyPatch) -> hdf5._Examiner:
    fresh = hdf5._Examiner()
    monkeypatch.setattr(hdf5, "_examiner", fresh)
    return fresh


def python(tmp_path: Path, code: str) -> str:
    """A stand-in for the interpreter."""
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\nimport os, signal, sys, time\nsys.stdin.readline()\n{code}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(("code", "words"), [
    ("os.kill(os.getpid(), signal.SIGSEGV)", "crashes the library"),
    ("import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 9))\nwhile True: pass", r"in \d s"),
    ("time.sleep(60)", "in 2 s"),
    ("sys.exit(1)", r"a\.h5: not examined.*-P -m"),
    ("os.kill(os.getpid(), signal.SIGKILL)", "killed.*[Mm]emory"),
])  # fmt: skip
@pytest.mark.slow
def test_a_crash_or_a_hang_is_that_of_the_child(
    tmp_path: Path, examiner: hdf5._Examiner, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    path = write(tmp_path / "a.h5")
    monkeypatch.setattr(hdf5, "_SECONDS", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", python(tmp_path, code))
        with pytest.raises(DataError, match=words):
            RegionFile(path)
        assert region_files(tmp_path) == [path]  # which is not left out without a word
    monkeypatch.setattr(hdf5, "_SECONDS", 20)
    assert RegionFile(path).shape == (60, 4, 16)  # another child


def test_where_no_child_can_be_started_files_are_read_unexamined(
    tmp_path: Path, examiner: hdf5._Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    assert RegionFile(write(tmp_path / "a.h5")).shape == (60, 4, 16)


def test_nothing_in_the_current_folder_is_run(
    tmp_path: Path, examiner: hdf5._Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")  # as with python -c
    for name in ("h5py", "json"):
        (tmp_path / f"{name}.py").write_text(f"open('{name} was run', 'w')")
    with pytest.raises(DataError, match="more than 1000"):
        RegionFile(write(tmp_path / "a.h5", entries))
    assert list(tmp_path.glob("*was run")) == []


def test_an_interrupted_examination_answers_for_no_other_file(
    tmp_path: Path, examiner: hdf5._Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = write(tmp_path / "a.h5"), write(tmp_path / "b.h5", entries)
    examiner.require_harmless(good)  # the child has started

    class Interrupting:
        def get(self, timeout: float) -> bytes:
            raise KeyboardInterrupt

    child = examiner._process
    assert child is not None
    with monkeypatch.context() as patch:
        patch.setattr(examiner, "_answers", Interrupting())
        with pytest.raises(KeyboardInterrupt):
            examiner._ask(good, 0)
    assert child.wait(10) == -9
    with pytest.raises(DataError, match="more than 1000"):
        examiner.require_harmless(bad)
    examiner._answers.put(b'["elsewhere.h5", ""]')
    with pytest.raises(RuntimeError, match="about elsewhere"):
        examiner._ask(bad, 0)


def test_a_large_file_gets_no_more_time_than_the_limit(
    tmp_path: Path, examiner: hdf5._Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "_LONGEST_WAIT", 0.2)
    monkeypatch.setattr(sys, "executable", python(tmp_path, "time.sleep(60)"))
    began = time.monotonic()
    assert "in 0 s" in examiner._ask(tmp_path / "a.h5", 10 << 30)
    assert time.monotonic() - began < 5


def test_each_state_of_a_file_is_examined_once(
    tmp_path: Path, examiner: hdf5._Examiner, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    ask = examiner._ask
    monkeypatch.setattr(examiner, "_ask", lambda path, size: asked.append(path) or ask(path, size))
    monkeypatch.setattr(once, "_SETTLED", -1)
    path = write(tmp_path / "a.h5")
    RegionFile(path)
    RegionFile(path)
    examiner._harmless.clear()  # another process
    RegionFile(path)
    assert len(asked) == 1
    os.utime(path)
    RegionFile(path)
    assert len(asked) == 2
