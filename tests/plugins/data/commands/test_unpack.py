"""Archives that want out of their folder, claim too much, are damaged, or were left half unpacked."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zslbench.errors import DataError
from zslbench_data.download.catalogue import Archive, DownloadPart
from zslbench_data.download.get import STAMP, unpack

FILES = {
    "top/CUB/att_splits.mat": b"splits" * 100,
    "top/CUB/res101.mat": b"features" * 1000,
    "top/CUB/allclasses.txt": b"a\nb\n",
    "top/SUN/att_splits.mat": b"another",
    "__MACOSX/top/CUB/._res101.mat": b"junk",
    "top/CUB/._att_splits.mat": b"junk",
    "readme.txt": b"read me",
}
NOISE = random.Random(3).randbytes(25_000)
SET = Archive("set.zip", (), page="", holds="", licence="")
PART = DownloadPart("splits", SET, 10_000, ("CUB/att_splits.mat", "CUB/res101.mat"), ("CUB/*classes*.txt",))


@pytest.fixture(params=["zip", "tar.gz", "tar"])
def pack(request: pytest.FixtureRequest, make_zip: Any, make_tar: Any) -> Callable[[dict[str, bytes]], bytes]:
    return {"zip": make_zip, "tar.gz": make_tar, "tar": lambda files: make_tar(files, "w")}[request.param]


@pytest.fixture
def run(tmp_path: Path, display: Any) -> Callable[..., dict[str, Any]]:
    def call(body: bytes, part: DownloadPart = PART, stamp: str = "one", name: str = "set") -> dict[str, Any]:
        (tmp_path / name).write_bytes(body)
        return unpack(tmp_path / name, stamp, part, tmp_path / "inner" / "staging", display)

    return call


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    return tmp_path / "inner" / "staging"


def around(tmp_path: Path) -> set[str]:
    """Everything below the test's folder but the archive and the staging folder's own content."""
    paths = {str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*")}
    return {one for one in paths if one != "set" and not one.startswith("inner/staging/")}


def test_only_chosen_members_are_unpacked(run: Any, pack: Any, staging: Path) -> None:
    got = run(pack(FILES))
    there = {one.name: one.read_bytes() for one in staging.iterdir() if one.name != STAMP}
    assert there == {
        name: FILES[f"top/CUB/{name}"] for name in ("att_splits.mat", "res101.mat", "allclasses.txt")
    }
    assert got.keys() == there.keys()
    one = got["res101.mat"]
    assert (one["member"], one["bytes"]) == ("top/CUB/res101.mat", 8000)
    assert one["sha256"] == hashlib.sha256(FILES[one["member"]]).hexdigest()


@pytest.mark.parametrize("order", [False, True])
def test_the_shallower_of_two_matching_members_is_unpacked(
    run: Any, pack: Any, staging: Path, order: bool
) -> None:
    files = {"attributes.txt": b"right", "x/y/attributes.txt": b"wrong!"}
    files = dict(reversed(files.items())) if order else files
    got = run(pack(files), DownloadPart("names", SET, 100, ("attributes.txt",)))
    assert (staging / "attributes.txt").read_bytes() == b"right"
    assert got["attributes.txt"]["member"] == "attributes.txt"


def test_images_keep_their_folders(run: Any, pack: Any, staging: Path) -> None:
    files = {
        "./d/images/001.A/x.jpg": b"1",
        "./d/images/002.B/deep/y.JPG": b"2",
        "./d/images/002.B/notes.txt": b"no image",
        "./d/images/002.B/._y.jpg": b"not one either",
        "./d/parts/images.jpg": b"elsewhere",
        "images/z.jpg": b"elsewhere too",
    }
    got = run(pack(files), DownloadPart("images", SET, 100, below="d/images"))
    assert got.keys() == {"images/001.A/x.jpg", "images/002.B/deep/y.JPG"}
    assert (staging / "images" / "002.B" / "deep" / "y.JPG").read_bytes() == b"2"


@pytest.mark.parametrize(
    "name", ["../CUB/att_splits.mat", "top/../../CUB/res101.mat", "/CUB/att_splits.mat", "C:/CUB/res101.mat",
             "top\\..\\..\\CUB\\res101.mat", "../elsewhere.txt"]
)  # fmt: skip
def test_no_archive_writes_outside(run: Any, pack: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"leave its folder"):
        run(pack({**FILES, name: b"evil"}))
    assert around(tmp_path) == {"inner"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(run: Any, tmp_path: Path, kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tape:
        info = tarfile.TarInfo("top/CUB/att_splits.mat")
        info.type, info.linkname = kind, "/etc/hostname"
        tape.addfile(info)
    with pytest.raises(DataError, match="ordinary file"):
        run(out.getvalue())
    assert around(tmp_path) == {"inner"}


def test_a_link_in_a_zip_is_refused(run: Any) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as pack:
        info = zipfile.ZipInfo("CUB/att_splits.mat")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        pack.writestr(info, "/etc/hostname")
    with pytest.raises(DataError, match="ordinary file"):
        run(out.getvalue())


def test_links_that_are_not_chosen_are_ignored(run: Any, staging: Path, tmp_path: Path) -> None:
    # A link to elsewhere, then a file that would be written through it.
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tape:
        link = tarfile.TarInfo("CUB")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "elsewhere")
        tape.addfile(link)
        for name in ("att_splits.mat", "res101.mat"):
            info = tarfile.TarInfo(f"CUB/{name}")
            info.size = 2
            tape.addfile(info, io.BytesIO(b"ok"))
    run(out.getvalue())
    assert (staging / "res101.mat").read_bytes() == b"ok"
    assert around(tmp_path) == {"inner", "inner/staging"}


def test_implausibly_large_members_are_refused(
    run: Any, pack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zslbench_data.download.get._SLACK", 1000)
    body = pack({"CUB/att_splits.mat": NOISE[:20_000], "CUB/res101.mat": NOISE})
    with pytest.raises(DataError, match=r"45 kB.*10 kB"):
        run(body)
    assert around(tmp_path) == {"inner"}


def test_a_tar_bomb_is_refused(run: Any, make_tar: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zslbench_data.download.get._SLACK", 1000)
    body = make_tar({"bomb.bin": bytes(3_000_000), **FILES})
    assert len(body) * 50 < 3_000_000
    with pytest.raises(DataError, match="over 50 times"):
        run(body)


def test_a_tar_header_that_claims_terabytes(run: Any) -> None:
    info = tarfile.TarInfo("CUB/res101.mat")
    info.size = 1 << 42
    with pytest.raises(DataError, match="claims"):
        run(gzip.compress(info.tobuf() + bytes(1024)))


@pytest.mark.parametrize("at", [0.3, 0.6, 0.85])
def test_truncated_archives_are_an_error(run: Any, pack: Any, tmp_path: Path, at: float) -> None:
    files = {name: hashlib.sha256(name.encode()).digest() * 400 for name in FILES}
    body = pack(files)
    with pytest.raises(DataError, match=r"is damaged"):
        run(
            body[: int(len(body) * at)],
            DownloadPart("splits", SET, 100_000, ("readme.txt", "CUB/res101.mat")),
        )
    assert around(tmp_path) == {"inner"}


def test_flipped_bytes_are_detected(run: Any, make_zip: Any, make_tar: Any) -> None:
    files = {"CUB/res101.mat": hashlib.sha256(b"x").digest() * 3000}
    for body in (make_zip(files), make_tar(files)):
        spoilt = bytearray(body)
        spoilt[len(body) // 2] ^= 0xFF
        with pytest.raises(DataError, match="is damaged"):
            run(bytes(spoilt))


def test_a_change_that_only_the_checksum_at_the_end_of_gzip_tells(run: Any, make_tar: Any) -> None:
    """tar stops reading at its own end, which is before."""
    stored = bytearray(gzip.compress(make_tar(FILES, "w"), compresslevel=0))
    at = stored.index(FILES["top/CUB/res101.mat"][:50])
    stored[at + 60] ^= 1
    with pytest.raises(DataError, match="is damaged"):
        run(bytes(stored))


def test_a_zip_with_a_directory_before_its_start(run: Any, make_zip: Any) -> None:
    body = bytearray(make_zip(FILES))
    end = body.rindex(b"PK\x05\x06")
    body[end + 12 : end + 16] = (2**31).to_bytes(4, "little")  # the directory's size
    with pytest.raises(DataError, match="is damaged"):
        run(bytes(body))


def test_a_zip_member_larger_than_its_header_says(run: Any, make_zip: Any) -> None:
    body = bytearray(make_zip({"CUB/res101.mat": b"a" * 5000}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", body, body.index(signature) + offset, 100)  # the size unpacked
    with pytest.raises(DataError, match="is damaged"):
        run(bytes(body))


def test_an_encrypted_member_is_refused(run: Any, make_zip: Any) -> None:
    body = bytearray(make_zip({"CUB/res101.mat": b"a"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(signature) + offset] |= 1
    with pytest.raises(DataError, match="is encrypted"):
        run(bytes(body))


def test_unpacking_is_resumed(run: Any, pack: Any, staging: Path, display: Any) -> None:
    files = {f"images/{number}.jpg": bytes([number]) * 1000 for number in range(8)}
    part = DownloadPart("images", SET, 8000, below="images")
    body = pack(files)

    def stop(step: int) -> None:
        display.advanced += step
        if display.advanced >= 4000:
            raise KeyboardInterrupt

    display.advance = stop
    with pytest.raises(KeyboardInterrupt):
        run(body, part)
    before = {one.name: one.stat().st_mtime_ns for one in staging.glob("images/*.jpg")}
    assert 2 <= len(before) < 8
    assert all(len((staging / "images" / one).read_bytes()) == 1000 for one in before)
    display.advance = lambda step: None
    assert len(run(body, part)) == 8
    after = {one.name: one.stat().st_mtime_ns for one in staging.glob("images/*.jpg")}
    assert len(after) == 8
    assert before.items() <= after.items()  # not written again
    assert all(
        (staging / "images" / f"{number}.jpg").read_bytes() == bytes([number]) * 1000 for number in range(8)
    )


def test_files_left_by_another_archive_are_removed(run: Any, pack: Any, staging: Path) -> None:
    run(pack(FILES))
    files = {name: bytes(len(data)) for name, data in FILES.items()}  # same sizes, other bytes
    run(pack(files), stamp="two")
    assert (staging / "res101.mat").read_bytes() == bytes(8000)
