"""Reads many damaged copies of a small MATLAB file; prints how it went. Run by test_matfile.py as a child."""

from __future__ import annotations

import json
import random
import resource
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import scipy.io
import scipy.sparse

from zslbench.data.matfile import read_mat
from zslbench.errors import DataError

NASTY = [b"\x00", b"\x01", b"\x7f", b"\xff", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80"]


def pristine(kind: str, folder: Path) -> bytes:
    path = folder / "pristine.mat"
    names = np.array([["ant"], ["bee"], ["cat"]], dtype=object)
    if kind == "hdf5":
        with h5py.File(path, "w") as file:
            file["att"] = np.arange(6.0).reshape(2, 3)
            file.create_dataset("features", data=np.ones((40, 8)), chunks=(10, 8), compression="gzip")
            cells = file.create_dataset("names", (1, 3), dtype=h5py.ref_dtype)
            for one, (name,) in enumerate(names):
                cell = file.create_dataset(
                    f"#refs#/{one}", data=np.array([[ord(c)] for c in name], np.uint16)
                )
                cells[0, one] = cell.ref
    else:
        contents = {
            "att": np.arange(6.0).reshape(2, 3),
            "sparse": scipy.sparse.csc_matrix(np.arange(12.0).reshape(3, 4) % 3),
            "names": names,
            "labels": np.arange(9, dtype=np.uint16),
        }
        scipy.io.savemat(path, contents, do_compression=kind == "compressed")
    return path.read_bytes()


def damaged(whole: bytes, chance: random.Random, first: int) -> bytes:
    if chance.random() < 0.1:
        return whole[: chance.randrange(len(whole))]
    raw = bytearray(whole)
    for _ in range(chance.choice([1, 1, 1, 3])):
        at, what = chance.randrange(first, len(raw)), chance.choice([*NASTY, chance.randbytes(1)])
        raw[at : at + len(what)] = what
    return bytes(raw)


def packed(raw: bytes) -> bytes:
    """The plain file with each element compressed after the damage, so that no checksum tells."""
    out, at = raw[:128], 128
    while at + 8 <= len(raw):
        end = at + 8 + int.from_bytes(raw[at + 4 : at + 8], "little")
        body = zlib.compress(raw[at:end])
        out += np.array([15, len(body)], "<u4").tobytes() + body
        at = end
    return out


def peak_megabytes() -> int:
    """Most memory this program ever held; ``ru_maxrss`` would begin with what the parent process held."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main(kind: str, folder: Path) -> None:
    limit = 3 << 30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    chance = random.Random(2024)
    whole = pristine(kind, folder)
    path = folder / "damaged.mat"
    refused, read, other = 0, 0, []
    for _ in range(400):
        raw = damaged(whole, chance, 0 if kind == "hdf5" else 100)
        path.write_bytes(packed(raw) if kind == "recompressed" else raw)
        try:
            read_mat(path, ["att", "names", "labels", "features", "sparse"])
            read += 1
        except DataError:
            refused += 1
        except BaseException as error:
            other.append(repr(error))
    megabytes = peak_megabytes()
    sys.stdout.write(json.dumps({"refused": refused, "read": read, "other": other, "megabytes": megabytes}))


main(sys.argv[1], Path(sys.argv[2]))
