"""Transfers over connections that are cut or slow, from servers that lie or change files."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import requests

from zslbench.errors import DataError
from zslbench_data.download import transfer
from zslbench_data.download.transfer import DownloadError, Transfer, part_path

BODY = random.Random(5).randbytes(200_000)


@pytest.fixture
def download(tmp_path: Path, impatient: None, display: Any) -> Any:
    def call(url: str) -> tuple[bytes, tuple[str, bool]]:
        part = part_path(tmp_path / "set.zip", url)
        with requests.Session() as session:
            result = Transfer(session, url, part, display).run()
        return part.read_bytes(), result

    return call


def test_a_complete_download_and_its_progress(web: Any, download: Any, display: Any) -> None:
    url = web.serve("/set.zip", BODY)
    assert download(url) == (BODY, (url, False))
    assert display.tasks == [("set.zip", len(BODY), 0)]
    assert (display.advanced, display.ended, display.messages) == (len(BODY), 1, [])


def test_a_cut_transfer_is_resumed(web: Any, download: Any, display: Any) -> None:
    url = web.serve("/set.zip", BODY, cut=[50_000, 30_000, None])
    body, (_, resumed) = download(url)
    assert (body == BODY, resumed) == (True, True)
    assert web.requested_ranges("/set.zip") == [None, "bytes=50000-", "bytes=80000-"]
    assert display.advanced == len(BODY)  # nothing came twice
    assert display.tasks[1] == ("set.zip", len(BODY), 50_000)


def test_the_next_call_resumes(web: Any, download: Any, tmp_path: Path) -> None:
    url = web.serve("/set.zip", BODY, cut=[100])  # too little to count as progress
    with pytest.raises(DownloadError, match=r"cut.*3 times.*300 bytes"):
        download(url)
    assert not (tmp_path / "set.zip").exists()
    web.files["/set.zip"].cut = [None]
    assert download(url)[0] == BODY
    assert web.requested_ranges("/set.zip")[-1] == "bytes=300-"


def test_a_server_that_always_cuts_is_abandoned(web: Any, download: Any) -> None:
    url = web.serve("/set.zip", BODY, cut=[0])
    with pytest.raises(DownloadError, match=r"3 times$"):
        download(url)
    assert len(web.requests) == 3


def test_progress_resets_the_number_of_tries(web: Any, download: Any) -> None:
    # Every try makes progress, so more than three are made.
    url = web.serve("/set.zip", BODY, cut=[20_000])
    assert download(url)[0] == BODY
    assert len(web.requests) == 10


def test_little_progress_adds_up(web: Any, download: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PROGRESS", 30_000)  # by two tries, of the three in a row that may fail
    assert download(web.serve("/set.zip", BODY, cut=[20_000]))[0] == BODY


def test_the_number_of_tries_is_limited_whatever_they_bring(
    web: Any, download: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MOST_TRIES", 5)
    url = web.serve("/set.zip", BODY, cut=[20_000])
    with pytest.raises(DownloadError, match=r"5 times; 100 kB saved"):
        download(url)
    assert download(url)[0] == BODY  # with the next call


def test_bytes_that_come_again_are_no_progress(web: Any, download: Any) -> None:
    url = web.serve("/set.zip", BODY, cut=[50_000], ranges=False)
    with pytest.raises(DownloadError, match="times"):
        download(url)
    assert len(web.requests) <= 5


def test_without_ranges_the_download_starts_over(web: Any, download: Any) -> None:
    url = web.serve("/set.zip", BODY, cut=[50_000, None], ranges=False)
    body, (_, resumed) = download(url)
    assert (body == BODY, resumed) == (True, False)


def test_a_changed_file_is_not_mixed_with_the_old_one(web: Any, download: Any) -> None:
    url = web.serve("/set.zip", BODY, cut=[100])
    with pytest.raises(DownloadError):
        download(url)
    other = bytes(reversed(BODY))
    web.serve("/set.zip", other, etag='"two"')
    assert download(url)[0] == other


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_validator_another_length_starts_over(web: Any, download: Any, etag: str | None) -> None:
    url = web.serve("/set.zip", BODY, cut=[100], etag=etag)
    with pytest.raises(DownloadError):
        download(url)
    assert all("If-Range" not in headers for _, headers in web.requests)
    web.serve("/set.zip", BODY[:150_000], etag=etag)
    assert download(url)[0] == BODY[:150_000]
    web.serve("/set.zip", BODY, etag=etag)


def test_a_file_that_became_shorter_starts_over(web: Any, download: Any) -> None:
    url = web.serve("/set.zip", BODY, cut=[50_000, 0], etag=None)
    with pytest.raises(DownloadError):
        download(url)
    web.serve("/set.zip", BODY[:1000], etag=None)
    assert download(url)[0] == BODY[:1000]


def test_a_complete_part_is_not_fetched_again(web: Any, download: Any) -> None:
    url = web.serve("/set.zip", BODY)
    assert download(url)[0] == BODY
    assert download(url)[0] == BODY
    assert web.requested_ranges("/set.zip") == [None, f"bytes={len(BODY)}-"]


def test_redirects_are_followed_and_reported(web: Any, download: Any) -> None:
    end = web.serve("/else/where.zip", BODY)
    url = web.serve("/set.zip", b"", redirect="/else/where.zip")
    assert download(url) == (BODY, (end, False))


def test_circular_redirects_are_an_error(web: Any, download: Any) -> None:
    url = web.serve("/set.zip", b"", redirect="/set.zip")
    with pytest.raises(DownloadError, match="too many redirects"):
        download(url)


def test_a_body_shorter_than_announced_is_an_error(web: Any, download: Any) -> None:
    url = web.serve("/set.zip", BODY, announced=len(BODY) + 5)
    with pytest.raises(DownloadError, match="cut"):
        download(url)


def test_a_server_may_send_less_than_the_range(web: Any, download: Any) -> None:
    # Some proxies send less than the requested range; the length of the file counts.
    url = web.serve("/set.zip", BODY, cut=[100])
    with pytest.raises(DownloadError):
        download(url)
    web.files["/set.zip"].cut, web.files["/set.zip"].announced = [None], 60_000
    assert download(url)[0] == BODY


def test_a_slow_server_is_fine_and_a_silent_one_times_out(web: Any, download: Any) -> None:
    assert download(web.serve("/slow.zip", BODY, pause=0.1))[0] == BODY
    with pytest.raises(DownloadError, match="stopped responding"):
        download(web.serve("/silent.zip", BODY, pause=0.7))


def test_a_server_that_recovers(web: Any, download: Any, display: Any) -> None:
    url = web.serve("/set.zip", BODY, status=[503, 429, 200], retry_after="0")
    assert download(url)[0] == BODY
    assert display.messages[0].startswith(f"{url}: HTTP 503 Service Unavailable")


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final(web: Any, download: Any, status: int) -> None:
    url = web.serve("/set.zip", b"", status=[status])
    with pytest.raises(DownloadError, match=f"{url}: HTTP {status}"):
        download(url)
    assert len(web.requests) == 1


def test_bytes_are_stored_without_decoding(web: Any, download: Any) -> None:
    # Apache declares .tgz as gzip-encoded; unpacked on the way it would be another file.
    url = web.serve("/set.tgz", BODY, encoding="x-gzip")
    assert download(url)[0] == BODY
    assert web.requests[0][1]["Accept-Encoding"] == "identity"


def test_without_a_length(web: Any, download: Any, display: Any) -> None:
    assert download(web.serve("/set.zip", BODY, chunked=True))[0] == BODY
    assert display.tasks == [("set.zip", None, 0)]
    with pytest.raises(DownloadError, match="cut"):
        download(web.serve("/other.zip", BODY, chunked=True, cut=[10, 0]))


def test_the_proxy_of_the_environment_is_used(
    web: Any, download: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.serve("/far/set.zip", BODY)
    monkeypatch.setenv("http_proxy", web.address)
    assert download("http://archive.invalid/far/set.zip")[0] == BODY
    assert web.requests[0][1]["Host"] == "archive.invalid"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/set.zip", "refused, 3 times"),
        ("http://host.invalid/set.zip", "cannot be resolved"),
        ("ftp://127.0.0.1/set.zip", "http or https"),
        ("set.zip", "http or https"),
    ],
)
def test_unreachable_addresses(web: Any, download: Any, url: str, words: str) -> None:
    with pytest.raises(DownloadError, match=words):
        download(url)


def test_too_little_space_is_an_error_before_the_download(
    web: Any, download: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = web.serve("/set.zip", BODY)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DataError, match=r"set.zip: needs 200.0 kB"):
        download(url)


def test_an_interrupt_keeps_the_received_bytes(web: Any, download: Any, tmp_path: Path, display: Any) -> None:
    url = web.serve("/set.zip", BODY)

    def stop(step: int) -> None:
        display.advanced += step
        if display.advanced > 60_000:
            raise KeyboardInterrupt

    display.advance = stop
    with pytest.raises(KeyboardInterrupt):
        download(url)
    part = part_path(tmp_path / "set.zip", url)
    kept = part.stat().st_size
    assert 60_000 < kept < len(BODY)
    assert json.loads(part.with_suffix(".json").read_text())["total"] == len(BODY)
    display.advance = lambda step: None
    assert download(url)[0] == BODY
    assert web.requested_ranges("/set.zip")[-1] == f"bytes={kept}-"


def test_a_damaged_json_file_starts_over(web: Any, download: Any, tmp_path: Path) -> None:
    url = web.serve("/set.zip", BODY, cut=[100])
    with pytest.raises(DownloadError):
        download(url)
    part_path(tmp_path / "set.zip", url).with_suffix(".json").write_text("{")
    web.files["/set.zip"].cut = [None]
    assert download(url)[0] == BODY
    assert web.requested_ranges("/set.zip")[-1] is None


def test_a_server_that_only_drips_is_abandoned(
    web: Any, download: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(transfer, "WINDOW", 0.2)
    url = web.serve("/set.zip", BODY, drip=0.02)
    with pytest.raises(DownloadError, match=r"under 1 kB/s, 3 times"):
        download(url)
    assert len(web.requests) == 3
    assert (tmp_path / part_path(tmp_path / "set.zip", url).name).stat().st_size > 3  # the next call resumes


def test_a_slow_answer_is_abandoned(web: Any, download: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "ANSWER", 0.2)
    with pytest.raises(DownloadError, match=r"no complete answer .*3 times"):
        download(web.serve("/set.zip", BODY, slow_headers=0.05))


@pytest.mark.parametrize("cut", [None, 20_000])
def test_the_whole_transfer_has_a_time_limit(
    web: Any, download: Any, monkeypatch: pytest.MonkeyPatch, cut: int | None
) -> None:
    monkeypatch.setattr(transfer, "LONGEST", 0.2)
    url = web.serve("/set.zip", BODY, pause=0.15, cut=[cut])
    with pytest.raises(DownloadError, match="over 0 hours"):
        download(url)
    assert len(web.requests) <= 2
