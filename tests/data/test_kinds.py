"""What a file is: told from its bytes, and never by waiting for a pipe or a device."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from zslbench.data import absence, file_kind, read_xlsa17, require_file
from zslbench.data.named import find_dataset
from zslbench.errors import DataError, MissingData, UnknownName, ZslbenchError
from zslbench.plugin import registry


def test_what_is_no_ordinary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    os.mkfifo("pipe")
    Path("broken").symlink_to("nowhere")
    Path("circle").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
    for name, words in {
        "pipe": "a named pipe",
        "socket": "a socket",
        "/dev/zero": "a device",
        ".": "a folder",
        "broken": "a broken link",
        "circle": "cannot be read",
        "none": "is missing",
    }.items():
        assert words in absence(Path(name))
        with pytest.raises(MissingData if name == "none" else DataError):
            require_file(Path(name))
    Path("text").write_text("words")
    Path("link").symlink_to("text")
    assert (file_kind(Path("link")), absence(Path("link"))) == ("text", "")


def test_a_data_set_of_pipes(tmp_path: Path) -> None:
    folder = tmp_path / "Odd"
    folder.mkdir()
    os.mkfifo(folder / "att_splits.mat")
    os.mkfifo(folder / "res101.mat")
    with pytest.raises(UnknownName, match=r"att_splits\.mat is a named pipe"):
        find_dataset(registry(), "odd", root=tmp_path)
    with pytest.raises(ZslbenchError, match=r"att_splits\.mat is a named pipe.*res101\.mat is a named pipe"):
        read_xlsa17(folder, name="odd")
