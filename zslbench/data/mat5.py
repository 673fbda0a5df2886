"""Checks that SciPy can read a MATLAB 5 file safely.

SciPy's reader trusts the sizes in a file: a flipped byte can crash the process or allocate all memory. So the
header of every variable, and all that SciPy will read of a wanted variable, is compared with what the file
can hold. Format: MathWorks, "MAT-File Format" (level 5).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from math import prod
from pathlib import Path
from typing import BinaryIO, NamedTuple

from zslbench.data.kinds import MATLAB_4, MATLAB_5, UNKNOWN, file_kind

# Bytes per number by data type (miINT8 ... miUINT64), and the data types that text comes in.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_TEXT = {1, 2, 4, 16, 17, 18}
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED, _UTF8 = 1, 5, 6, 14, 15, 16
_CELL, _CHAR, _SPARSE = 1, 4, 5
_NUMERIC = range(6, 16)
_CLASSES = {2: "a struct", 3: "an object", 16: "a function", 17: "an opaque object"}

_HEAD = 4096  # more than any variable's header needs
_LARGEST_CELL = 1 << 28  # bytes; 40,000 image names take under 10 MB
RATIO = 1032
"""zlib cannot compress data by more."""
DEEPEST = 4
"""Levels of nested cells that are read."""
_STRAY_BLANKS = 4096  # characters that text may claim beyond its bytes; SciPy fills such text with blanks


MOST_ZEROS = 1 << 26
"""Values of the largest sparse matrix that is expanded however few of them the file stores."""


class MalformedFile(Exception):
    """What is wrong with a file, as a predicate without the file's name, and what to do."""

    def __init__(self, fault: str, advice: str = "Get a fresh copy of the file") -> None:
        super().__init__(fault)
        self.advice = advice


class _Header(NamedTuple):
    kind: int
    complex: bool
    values: int
    name: str


class _Walker:
    """Reads tags one after the other, as SciPy does, from an element's uncompressed bytes."""

    def __init__(self, data: bytes, order: str) -> None:
        self.data, self.order, self.at = data, order, 0

    def numbers(self, form: str) -> tuple[int, ...]:
        try:
            got = struct.unpack_from(self.order + form, self.data, self.at)
        except struct.error:
            raise MalformedFile("ends inside a variable") from None
        self.at += struct.calcsize(form)
        return got

    def tag(self) -> tuple[int, int, int, int]:
        """(data type, bytes, where the data begin, where the next tag begins)."""
        (first,) = self.numbers("I")
        if first >> 16:  # small element: type, size and up to four bytes of data in eight bytes
            if first >> 16 > 4:
                raise MalformedFile("has a malformed tag")
            return first & 0xFFFF, first >> 16, self.at, self.at + 4
        (size,) = self.numbers("I")
        return first, size, self.at, self.at + size + -size % 8

    def header(self) -> _Header:
        """Array flags, dimensions and name."""
        kind, size, flags, _ = self.numbers("4I")
        if kind != _UINT32 or size != 8:
            raise MalformedFile("has malformed array flags")
        if flags & 0xFF in (16, 17):
            return _Header(flags & 0xFF, False, 0, "")
        kind, size, _, after = self.tag()
        if kind not in (_INT32, _UINT32) or not 8 <= size <= 128 or size % 4:
            raise MalformedFile("has malformed dimensions")
        dims = self.numbers(f"{size // 4}i")
        if min(dims) < 0:
            raise MalformedFile("has a negative dimension")
        self.at = after
        kind, size, start, self.at = self.tag()
        name = self.data[start : start + size]
        if kind not in (_INT8, _UTF8) or size > 255 or len(name) < size:
            raise MalformedFile("has a malformed variable name")
        return _Header(flags & 0xFF, bool(flags & 0x800), prod(dims), name.decode("latin1"))

    def content(self, header: _Header, end: int, depth: int = 0) -> None:
        """Check what follows a header up to ``end``, cells included."""
        if header.kind == _CELL:
            if depth == DEEPEST or header.values > (end - self.at) // 8:
                raise MalformedFile(f"claims {header.values} cells in {max(end - self.at, 0)} bytes")
            for _ in range(header.values):
                self.cell(end, depth + 1)
            return
        if header.kind == _SPARSE and not header.complex:
            if header.values > max(MOST_ZEROS, RATIO * (end - self.at)):
                raise MalformedFile(f"is a sparse array that stands for {header.values} values")
            for _ in range(3):  # rows, where columns begin, values
                kind, size, start, self.at = self.tag()
                if kind not in _SIZES or start + size > end:
                    raise MalformedFile("is a sparse array with malformed parts")
            return
        if header.kind != _CHAR and header.kind not in _NUMERIC:
            raise MalformedFile(f"is {_CLASSES.get(header.kind, 'of an unknown class')}, not numbers or text")
        if header.complex:
            raise MalformedFile("holds complex numbers")
        kind, size, start, self.at = self.tag()
        if header.kind == _CHAR:
            fits = kind in _TEXT and header.values <= max(size, _STRAY_BLANKS)
        else:
            fits = kind in _SIZES and size == header.values * _SIZES[kind]
        if not fits or start + size > end:
            raise MalformedFile(f"claims {header.values} values in {min(size, max(end - start, 0))} bytes")

    def cell(self, end: int, depth: int) -> None:
        kind, size = self.numbers("2I")
        stop = self.at + size
        if kind != _MATRIX or stop > end:
            raise MalformedFile("has a malformed cell")
        if size:
            self.content(self.header(), stop, depth)
            if self.at != stop:
                raise MalformedFile("has a cell of the wrong size")


def variables(path: Path, wanted: Collection[str] = ()) -> list[str]:
    """Names of the file's variables, after checking that those in ``wanted`` can be read safely.

    Raises:
        MalformedFile: the file is cut off or contradicts itself, or a wanted variable is neither an array of
            real numbers nor text nor a cell array.
        OSError: the file cannot be opened.
    """
    names: list[str] = []
    size = path.stat().st_size
    with path.open("rb") as file:
        order = _byte_order(file.read(128), path)
        at = 128
        while at < size:
            file.seek(at)
            tag = file.read(8)
            if len(tag) < 8:
                raise MalformedFile(f"is cut off: {size} bytes end inside a variable's tag")
            kind, length = struct.unpack(order + "2I", tag)
            if length > size - at - 8:
                raise MalformedFile(f"is cut off: a variable needs {length} bytes, {size - at - 8} are left")
            if kind not in (_MATRIX, _COMPRESSED):
                raise MalformedFile(f"has an unknown element of type {kind} at byte {at}")
            name = _variable(file, tag, kind == _COMPRESSED, length, order, wanted)
            if name in wanted and name in names:
                raise MalformedFile(f"has two variables '{name}'")
            names.append(name)
            at += 8 + length
    return names


def _byte_order(header: bytes, path: Path) -> str:
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
    # A zero among the first four bytes would make SciPy take the file for MATLAB 4.
    if order is None or 0 in header[:4] or struct.unpack(order + "H", header[124:126]) != (0x0100,):
        if (kind := file_kind(path)) == MATLAB_4:
            raise MalformedFile("is a MATLAB 4 file: load it in MATLAB and save it with save -v7", "")
        what = "is" if kind in (UNKNOWN, MATLAB_5) else f"is {kind},"
        raise MalformedFile(f"{what} not a MATLAB file of version 5, 7 or 7.3")
    return order


def _variable(
    file: BinaryIO, tag: bytes, compressed: bool, length: int, order: str, wanted: Collection[str]
) -> str:
    """Name of the variable that begins here, checked throughout if wanted."""
    begin = file.tell()

    def body(limit: int) -> bytes:
        file.seek(begin)
        if not compressed:
            return tag + file.read(min(length, limit))
        try:
            packed = file.read(length if limit > _HEAD else min(length, _HEAD))
            return zlib.decompressobj().decompress(packed, limit)
        except zlib.error as error:
            raise MalformedFile(f"cannot be decompressed ({error})") from None

    walker = _Walker(body(_HEAD), order)
    kind, size = walker.numbers("2I")
    if kind != _MATRIX or size > (length * RATIO if compressed else length):
        raise MalformedFile("has a malformed variable")
    header = walker.header()
    if header.name in wanted:
        try:
            if header.kind in (_CELL, _SPARSE):
                if header.kind == _CELL and size > _LARGEST_CELL:
                    raise MalformedFile(f"claims a cell array of {size} bytes")
                whole = _Walker(body(size + 8), order)
                whole.at = walker.at
                if len(whole.data) < size + 8:
                    raise MalformedFile("is cut off")
                walker = whole
            walker.content(header, size + 8)
        except MalformedFile as fault:
            raise MalformedFile(f"variable '{header.name}' {fault}") from None
    return header.name
