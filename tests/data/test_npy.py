"""Arrays are mapped; headers that claim too much, nest or hold objects are one line."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from zslbench.data.npy import open_npy
from zslbench.errors import DataError


def write(path: Path, header: str) -> Path:
    text = header.encode().ljust(118) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(100))
    return path


def test_an_array_is_mapped(tmp_path: Path) -> None:
    values = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "a.npy", values)
    found = open_npy(tmp_path / "a.npy")
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    "shape", ["(1000000000000, 300)", f"({10**30}, 2)", "(-1, 4)", "(1e400, 2)", "(0, 3)", "[" * 9000]
)
@pytest.mark.parametrize("kind", ["<f4", "|O", "<M8[s]", "<f99"])
def test_what_is_no_array_of_numbers_is_one_line(tmp_path: Path, shape: str, kind: str) -> None:
    path = write(tmp_path / "a.npy", f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}")
    with pytest.raises(DataError) as caught:
        open_npy(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"\x93NUMPY", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"", b"words", b"\x80\x04K\x01."]
)
def test_what_is_no_npy_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_npy(tmp_path / "a.npy")
    assert "\n" not in str(caught.value)
