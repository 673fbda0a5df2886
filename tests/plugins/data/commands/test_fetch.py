"""Archives: mirrors, published and recorded checksums, files put there by hand."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from zslbench.errors import DataError, MissingData
from zslbench_data.download.transfer import DownloadError, part_path


def digest(data: bytes, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, data).hexdigest()


@pytest.fixture
def body(make_zip: Any) -> bytes:
    data: bytes = make_zip({"a.txt": b"one" * 1000, "b.txt": bytes(range(256)) * 40})
    return data


def names(folder: Path) -> set[str]:
    """What lies there, without locks."""
    return {one.name for one in folder.iterdir() if not one.name.endswith(".lock")}


def test_an_archive_is_recorded_when_first_seen(web: Any, fetcher: Any, archive: Any, body: bytes) -> None:
    one = archive(web.serve("/set.zip", body))
    got = fetcher().fetch(one)
    assert got.path.read_bytes() == body
    record = json.loads((got.path.parent / "checksums.json").read_text())["set.zip"]
    assert record == got.record
    assert (record["sha256"], record["bytes"], record["url"]) == (digest(body), len(body), one.urls[0])
    assert record["checked"].startswith("first seen")
    assert names(got.path.parent) == {"set.zip", "checksums.json"}
    assert fetcher().fetch(one).record == record
    assert len(web.requests) == 1


def test_an_archive_that_differs_from_its_record_is_an_error(
    web: Any, fetcher: Any, archive: Any, body: bytes, make_zip: Any
) -> None:
    one = archive(web.serve("/set.zip", body))
    got = fetcher().fetch(one)
    other = make_zip({"a.txt": b"two"})
    got.path.unlink()
    web.serve("/set.zip", other)
    with pytest.raises(DownloadError, match=f"first seen .*{digest(other)}"):
        fetcher().fetch(one)
    assert names(got.path.parent) == {"checksums.json"}
    assert fetcher(force=True).fetch(one).record["sha256"] == digest(other)
    got.path.write_bytes(body)
    with pytest.raises(DataError, match=r"first seen.*--force"):
        fetcher().fetch(one)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_wrong_bytes_never_look_complete(
    web: Any, fetcher: Any, archive: Any, body: bytes, algorithm: str, tmp_path: Path
) -> None:
    wrong = body[:-1] + bytes([body[-1] ^ 1])
    one = archive(web.serve("/set.zip", wrong), checksum=f"{algorithm}:{digest(body, algorithm)}")
    with pytest.raises(DownloadError, match="not the published") as caught:
        fetcher().fetch(one)
    assert "http://example.invalid/set" in str(caught.value)
    assert names(tmp_path / "archives") == set()
    web.serve("/set.zip", body)
    got = fetcher().fetch(one)
    assert got.record["checked"] == f"{algorithm}:{digest(body, algorithm)}"
    assert got.record["sha256"] == digest(body)


def test_a_corrupt_part_file_is_discarded(
    web: Any, fetcher: Any, archive: Any, body: bytes, display: Any
) -> None:
    # The first half comes damaged, the connection is cut, and the rest is sound.
    one = archive(web.serve("/set.zip", bytes(len(body)), cut=[500, 0]), body=body)
    with pytest.raises(DownloadError):
        fetcher().fetch(one)
    web.serve("/set.zip", body)
    assert fetcher().fetch(one).path.read_bytes() == body
    assert any("starting over" in line for line in display.messages)


def test_a_wrong_content_length_is_detected(web: Any, fetcher: Any, archive: Any, body: bytes) -> None:
    # Announced shorter: what comes ends early and seems complete.
    url = web.serve("/set.zip", body, announced=len(body) - 30)
    with pytest.raises(DownloadError, match="damaged archive"):
        fetcher().fetch(archive(url))
    with pytest.raises(DownloadError, match="published archive"):
        fetcher().fetch(archive(url, body=body))
    web.files["/set.zip"].announced = len(body) - 30
    with pytest.raises(DownloadError, match=f"has {len(body) - 30} bytes, .* {len(body)}"):
        fetcher().fetch(archive(url, size=len(body), exact=True))


@pytest.mark.parametrize("chunked", [False, True])
def test_an_endless_file_is_aborted(
    web: Any, fetcher: Any, archive: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    monkeypatch.setattr("zslbench_data.download.archives._BLOCK", 1000)
    url = web.serve("/set.zip", bytes(3_000_000), chunked=chunked)
    for how in ({"size": 100_000}, {"size": 401_000, "exact": True}):
        with pytest.raises(DownloadError, match=r"401 kB"):
            fetcher().fetch(archive(url, **how))
    assert names(tmp_path / "archives") == set()


def test_a_truncated_gzip_is_detected(web: Any, fetcher: Any, archive: Any, make_tar: Any) -> None:
    body = make_tar({"a": bytes(range(256)) * 100})
    url = web.serve("/set.tgz", body, announced=len(body) - 20)
    with pytest.raises(DownloadError, match="damaged archive"):
        fetcher().fetch(archive(url, file="set.tgz"))


@pytest.mark.parametrize(
    ("page", "words"),
    [(b"<!DOCTYPE html><p>moved", "web page"), (b"", "is empty"), (b"what", "not a zip or gzip")],
)
def test_a_web_page_is_not_an_archive(
    web: Any, fetcher: Any, archive: Any, page: bytes, words: str, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match=words):
        fetcher().fetch(archive(web.serve("/set.zip", page)))
    assert names(tmp_path / "archives") == set()


def test_mirrors_are_tried_in_order(web: Any, fetcher: Any, archive: Any, body: bytes) -> None:
    web.serve("/own/set.zip", b"<html>", status=[404])
    good = web.serve("/third/set.zip", body)
    one = archive(
        web.serve("/first/set.zip", b"no archive"), f"{web.address}/nowhere/set.zip", good, body=body
    )
    got = fetcher(mirrors=[f"{web.address}/own/"]).fetch(one)
    assert [path for path, _ in web.requests] == [
        "/own/set.zip",
        "/first/set.zip",
        "/nowhere/set.zip",
        "/third/set.zip",
    ]
    assert got.record["url"] == good


def test_if_every_address_fails_all_are_named(web: Any, fetcher: Any, archive: Any) -> None:
    one = archive(f"{web.address}/a/set.zip", f"{web.address}/b/set.zip")
    with pytest.raises(DownloadError) as caught:
        fetcher(mirrors=[f"{web.address}/c/set.zip"]).fetch(one)
    message = str(caught.value)
    assert "\n" not in message
    for place in "abc":
        assert f"{web.address}/{place}/set.zip: HTTP 404 Not Found" in message
    assert "http://example.invalid/set" in message
    assert "--mirror" in message


def test_parts_of_two_addresses_are_not_mixed(
    web: Any, fetcher: Any, archive: Any, body: bytes, tmp_path: Path
) -> None:
    one = archive(
        web.serve("/a/set.zip", bytes(len(body)), cut=[100, 0]), web.serve("/b/set.zip", body), body=body
    )
    assert fetcher().fetch(one).path.read_bytes() == body
    assert names(tmp_path / "archives") == {"set.zip", "checksums.json"}


def test_redirects_are_recorded(web: Any, fetcher: Any, archive: Any, body: bytes) -> None:
    end = web.serve("/deep/set.zip", body)
    one = archive(web.serve("/set.zip", b"", redirect="/deep/set.zip"))
    record = fetcher().fetch(one).record
    assert (record["url"], record["asked"]) == (end, one.urls[0])


def test_offline_uses_archives_put_there_by_hand(
    web: Any, fetcher: Any, archive: Any, body: bytes, tmp_path: Path
) -> None:
    one = archive(f"{web.address}/set.zip", body=body, size=len(body))
    with pytest.raises(MissingData, match=f"--offline.*{one.urls[0]}"):
        fetcher(offline=True).fetch(one)
    assert not (tmp_path / "archives").exists()
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "set.zip").write_bytes(body)
    assert fetcher(offline=True).fetch(one).record["url"] is None
    (tmp_path / "archives" / "set.zip").write_bytes(body[:-1])
    with pytest.raises(DataError, match="not the published"):
        fetcher(offline=True).fetch(one)
    assert web.requests == []


def test_an_invalid_archive_put_there_by_hand_is_not_recorded(
    fetcher: Any, archive: Any, tmp_path: Path
) -> None:
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives" / "set.zip").write_bytes(b"<html>login")
    with pytest.raises(DataError, match="web page"):
        fetcher().fetch(archive("http://127.0.0.1:9/set.zip"))
    assert not (tmp_path / "archives" / "checksums.json").exists()


def test_a_fetcher_downloads_an_archive_once(web: Any, fetcher: Any, archive: Any, body: bytes) -> None:
    forced = fetcher(force=True)
    good, bad = archive(web.serve("/set.zip", body)), f"{web.address}/none/set.zip"
    assert forced.fetch(good) is forced.fetch(good)
    assert len(web.requests) == 1
    other = fetcher()
    for _ in range(2):
        with pytest.raises(DownloadError):
            other.fetch(archive(bad, file="other.zip"))
    assert len(web.requests) == 2


def test_removed_archives_stay_recorded(
    web: Any, fetcher: Any, archive: Any, body: bytes, tmp_path: Path
) -> None:
    one = archive(web.serve("/set.zip", body))
    used = fetcher()
    used.fetch(one)
    used.remove_downloaded()
    assert names(tmp_path / "archives") == {"checksums.json"}
    (tmp_path / "archives" / "mine.zip").write_bytes(body)
    kept = fetcher(offline=True)
    kept.fetch(archive(file="mine.zip"))
    kept.remove_downloaded()
    assert (tmp_path / "archives" / "mine.zip").is_file()  # it cannot be downloaded again


def test_two_processes_download_once(web: Any, fetcher: Any, archive: Any, body: bytes, display: Any) -> None:
    one = archive(web.serve("/set.zip", body, pause=0.05))
    got = []
    threads = [threading.Thread(target=lambda: got.append(fetcher().fetch(one))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.record["sha256"] for one in got] == [digest(body)] * 2
    assert len(web.requests) == 1
    assert any("set.zip" in line for line in display.messages)


KILLED = """
import sys
from pathlib import Path
from zslbench_data.download.catalogue import Archive
from zslbench_data.download.archives import Fetcher
from zslbench_data.download import transfer

transfer.CHUNK = 4096
one = Archive("set.zip", (sys.argv[1],), page="", holds="", licence="")
Fetcher(Path(sys.argv[2])).fetch(one)
"""


def test_a_killed_download_is_resumed(
    web: Any, fetcher: Any, archive: Any, make_zip: Any, tmp_path: Path
) -> None:
    body = make_zip({"noise.bin": random.Random(1).randbytes(400_000)})
    url = web.serve("/set.zip", body, pause=0.4)
    process = subprocess.Popen([sys.executable, "-c", KILLED, url, str(tmp_path / "archives")])
    part = part_path(tmp_path / "archives" / "set.zip", url)
    deadline = time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size > 50_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    kept = part.stat().st_size
    assert 50_000 < kept < len(body)
    assert not (tmp_path / "archives" / "set.zip").exists()
    web.files["/set.zip"].pause = 0.0
    assert fetcher().fetch(archive(url)).path.read_bytes() == body
    assert web.requested_ranges("/set.zip") == [None, f"bytes={kept}-"]


def test_a_damaged_checksums_file_is_an_error(
    web: Any, fetcher: Any, archive: Any, body: bytes, tmp_path: Path
) -> None:
    one = archive(web.serve("/set.zip", body))
    fetcher().fetch(one)
    (tmp_path / "archives" / "checksums.json").write_text('{"set.zip": 3}')
    with pytest.raises(DataError, match=r"checksums.json: is damaged"):
        fetcher().fetch(one)


def test_a_server_that_resumes_with_other_bytes_is_abandoned(
    web: Any, fetcher: Any, archive: Any, body: bytes
) -> None:
    """It cuts every answer, sends other bytes for the rest, and nothing that comes of it is the archive."""
    url = web.serve("/set.zip", body, cut=[len(body) // 2, None], other_rest=b"x")
    web.files["/set.zip"].cut *= 20  # alternately
    with pytest.raises(DownloadError, match="the download is not the published archive"):
        fetcher().fetch(archive(url, body=body))
    assert len(web.requests) <= 6


@pytest.mark.parametrize("first", ["mirror", "by hand"])
def test_what_a_mirror_sent_is_not_trusted_over_the_published_address(
    web: Any, fetcher: Any, archive: Any, body: bytes, make_zip: Any, display: Any, first: str
) -> None:
    one, other = archive(web.serve("/set.zip", body)), make_zip({"a.txt": b"evil"})
    mirror = web.serve("/bad/set.zip", other)
    if first == "mirror":
        got = fetcher(mirrors=[f"{web.address}/bad"]).fetch(one)
        assert got.record["sha256"] == digest(other)
    else:
        made = fetcher()
        made.folder.mkdir()
        (made.folder / "set.zip").write_bytes(other)
        got = made.fetch(one)
    got.path.unlink()
    found = fetcher().fetch(one)
    assert (found.record["sha256"], found.record["url"]) == (digest(body), one.urls[0])
    assert any("--force" in line for line in display.messages)
    found.path.unlink()
    web.files["/set.zip"].status = [404]  # and what the published address sent is trusted over a mirror
    with pytest.raises(DownloadError, match=r"first seen.*--force"):
        fetcher(mirrors=[mirror]).fetch(one)


def test_a_wrong_archive_of_a_mirror_is_forgotten(web: Any, fetcher: Any, archive: Any, body: bytes) -> None:
    one = archive(web.serve("/set.zip", body))
    web.serve("/bad/set.zip", body + b"")
    for mirrors, kept in (([f"{web.address}/bad"], False), ([], True)):
        made = fetcher(mirrors=mirrors)
        got = made.fetch(one)
        with pytest.raises(DataError) as raised, made.opened(got):
            raise DataError(got.path, ["does not contain what it should"])
        assert ("--force" in str(raised.value)) == kept
        assert got.path.is_file() == kept
        with pytest.raises(DataError, match="does not contain"):  # the next part from it says the same
            made.fetch(one)
