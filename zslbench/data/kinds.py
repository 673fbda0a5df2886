"""What a file is, by its type and first bytes, since names can mislead. Imports nothing heavy."""

from __future__ import annotations

import stat
import struct
from pathlib import Path

from zslbench.errors import DataError, MissingData

MATLAB_4, MATLAB_5, MATLAB_73 = (f"a MATLAB file of version {one}" for one in ("4", "5 or 7", "7.3"))
HDF5, NPY, NPZ = "an HDF5 file", "a .npy array", "a .npz file"
TEXT, EMPTY, UNKNOWN = "text", "an empty file", "unknown"

_HDF5 = b"\x89HDF\r\n\x1a\n"
_SIGNATURES = {
    _HDF5: HDF5,
    b"\x93NUMPY": NPY,
    b"\x1f\x8b": "a gzip file",
    b"\xfd7zXZ": "an xz file",
    b"BZh": "a bzip2 file",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x80\x02": "a Python pickle, which could run arbitrary code",
    b"\x80\x03": "a Python pickle, which could run arbitrary code",
    b"\x80\x04": "a Python pickle, which could run arbitrary code",
    b"\x80\x05": "a Python pickle, which could run arbitrary code",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet file",
    b"SQLite": "an SQLite file",
    b"version https://git-lfs": "a Git LFS pointer, not the file it stands for (git lfs pull gets that)",
    b"<": "a web page",
}
_TYPES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def file_kind(path: Path) -> str:
    """What a file is, in words; only regular files are opened, since others could block forever.

    Raises:
        OSError: there is no such file, or it cannot be read.
    """
    mode = stat.S_IFMT(path.stat().st_mode)
    if mode in _TYPES:
        return _TYPES[mode]
    with path.open("rb") as file:
        head = file.read(520)
        for at in (1024, 2048):  # where HDF5 looks too, after 0 and 512
            file.seek(at)
            if _HDF5 in (head[512:520], file.read(8)):
                return MATLAB_73 if head.startswith(b"MATLAB") else HDF5
    if not head:
        return EMPTY
    if head[126:128] in (b"IM", b"MI") and 0 not in head[:4]:
        return MATLAB_5
    if head.startswith(b"PK\x03\x04"):
        length = int.from_bytes(head[26:28], "little")
        return NPZ if head[30 : 30 + length].endswith(b".npy") else "a zip archive"
    if head[257:262] == b"ustar":
        return "a tar archive"
    known = (kind for sign, kind in _SIGNATURES.items() if head.lstrip().startswith(sign))
    return next(known, None) or (MATLAB_4 if _is_matlab4(head) else TEXT if _is_text(head) else UNKNOWN)


def absence(path: Path) -> str:
    """Why the path is not a regular file or a link to one, as a predicate; empty: it is one."""
    try:
        return "" if path.is_file() else f"is {file_kind(path)}, not a file"
    except FileNotFoundError:
        return "is a broken link" if path.is_symlink() else "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def require_file(path: Path) -> None:
    """Raise an error unless the path is a regular file or a link to one.

    Raises:
        MissingData: nothing is there.
        DataError: something else is there, or it cannot be examined.
    """
    fault = absence(path)
    if fault == "is missing":
        raise MissingData(path, ["no such file"])
    if fault:
        raise DataError(path, [fault])


def _is_matlab4(head: bytes) -> bool:
    """Whether it starts as MATLAB 4: five integers, the first with the digits M (order), 0, P, T (types)."""
    if len(head) < 20:
        return False
    for order in "<>":
        kind, rows, columns, imaginary, length = struct.unpack(f"{order}5i", head[:20])
        digits = kind // 1000, kind // 100 % 10, kind // 10 % 10, kind % 10
        fits = all(0 <= digit <= most for digit, most in zip(digits, (4, 0, 5, 2), strict=True))
        if fits and rows >= 0 and columns >= 0 and imaginary in (0, 1) and 0 < length < 64:
            return True
    return False


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and 0 not in head  # cut off within a character
    return text.isprintable() or not set(text) & set("\0\x01\x02\x03")
