"""A file's state is known until anything about the file changes; the latest changes are not trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zslbench.data import once


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZSLBENCH_CACHE", str(tmp_path / "cache"))


def test_a_state_is_known_until_the_file_changes_in_any_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once, "_SETTLED", -1)
    path = tmp_path / "a"
    path.write_bytes(b"one")
    state = [once.file_state(path)]
    assert not once.is_known("sound", state)
    once.remember("sound", state)
    assert once.is_known("sound", [once.file_state(path)])
    assert not once.is_known("other", state)
    found = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))  # size and time of content are as before
    assert not once.is_known("sound", [once.file_state(path)])
    path.unlink()
    assert once.file_state(path)[1:] == (0, 0, 0, 0)


def test_what_changed_just_now_may_change_again_unseen(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    once.remember("sound", [once.file_state(path)])
    assert not once.is_known("sound", [once.file_state(path)])


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "_SETTLED", -1)
    (tmp_path / "cache").write_text("a file")
    state = [once.file_state(tmp_path / "cache")]
    once.remember("sound", state)
    assert not once.is_known("sound", state)
