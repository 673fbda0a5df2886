"""Transfers over a connection that is cut, slow, lies, or forgets what it was asked."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import requests

from zslbench.errors import DataError
from zslbench_data.download.transfer import DownloadError, Transfer, part_path

BODY = random.Random(5).randbytes(200_000)


@pytest.fixture
def bring(tmp_path: Path, policy: Any, display: Any) -> Any:
    def call(url: str) -> tuple[bytes, tuple[str, bool]]:
        part = part_path(tmp_path / "set.zip", url)
        with requests.Session() as session:
            told = Transfer(session, url, part, policy, display).run()
        return part.read_bytes(), told

    return call


def test_a_file_comes_whole_and_is_shown(web: Any, bring: Any, display: Any) -> None:
    url = web.serve("/set.zip", BODY)
    assert bring(url) == (BODY, (url, False))
    assert display.tasks == [("set.zip", len(BODY), 0)]
    assert (display.advanced, display.ended, display.messages) == (len(BODY), 1, [])


def test_a_cut_transfer_goes_on_where_it_was(web: Any, bring: Any, display: Any) -> None:
    url = web.serve("/set.zip", BODY, cut=[50_000, 30_000, None])
    body, (_, resumed) = bring(url)
    assert (body == BODY, resumed) == (True, True)
    assert web.requested_ranges("/set.zip") == [None, "bytes=50000-", "bytes=80000-"]
    assert display.advanced == len(BODY)  # nothing came twice
    assert display.tasks[1] == ("set.zip", len(BODY), 50_000)


def test_the_next_call_goes_on_too(web: Any, bring: Any, tmp_path: Path) -> None:
    url = web.serve("/set.zip", BODY, cut=[100])  # too little to be worth more tries
    with pytest.raises(DownloadError, match=r"cut.*3 times.*300 bytes"):
        bring(url)
    assert not (tmp_path / "set.zip").exists()
    web.files["/set.zip"].cut = [None]
    assert bring(url)[0] == BODY
    assert web.requested_ranges("/set.zip")[-1] == "bytes=300-"


def test_a_server_that_always_cuts_is_left_in_the_end(web: Any, bring: Any) -> None:
    url = web.serve("/set.zip", BODY, cut=[0])
    with pytest.raises(DownloadError, match=r"3 times$"):
        bring(url)
    assert len(web.requests) == 3


def test_long_files_may_be_cut_often(web: Any, bring: Any) -> None:
    # Every try brings something worth mentioning, so that more than three are made.
    url = web.serve("/set.zip", BODY, cut=[20_000])
    assert bring(url)[0] == BODY
    assert len(web.requests) == 10


def test_a_server_without_ranges_starts_again(web: Any, bring: Any) -> None:
    url = web.serve("/set.zip", BODY, cut=[50_000, None], ranges=False)
    body, (_, resumed) = bring(url)
    assert (body == BODY, resumed) == (True, False)


def test_a_file_that_changed_meanwhile_is_not_mixed(web: Any, bring: Any) -> None:
    url = web.serve("/set.zip", BODY, cut=[100])
    with pytest.raises(DownloadError):
        bring(url)
    other = bytes(reversed(BODY))
    web.serve("/set.zip", other, etag='"two"')
    assert bring(url)[0] == other


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_validator_another_length_starts_again(web: Any, bring: Any, etag: str | None) -> None:
    url = web.serve("/set.zip", BODY, cut=[100], etag=etag)
    with pytest.raises(DownloadError):
        bring(url)
    assert all("If-Range" not in headers for _, headers in web.requests)
    web.serve("/set.zip", BODY[:150_000], etag=etag)
    assert bring(url)[0] == BODY[:150_000]
    web.serve("/set.zip", BODY, etag=etag)


def test_a_file_that_became_shorter_starts_again(web: Any, bring: Any) -> None:
    url = web.serve("/set.zip", BODY, cut=[50_000, 0], etag=None)
    with pytest.raises(DownloadError):
        bring(url)
    web.serve("/set.zip", BODY[:1000], etag=None)
    assert bring(url)[0] == BODY[:1000]


def test_a_complete_part_is_not_fetched_again(web: Any, bring: Any) -> None:
    url = web.serve("/set.zip", BODY)
    assert bring(url)[0] == BODY
    assert bring(url)[0] == BODY
    assert web.requested_ranges("/set.zip") == [None, f"bytes={len(BODY)}-"]


def test_redirects_are_followed_and_told(web: Any, bring: Any) -> None:
    end = web.serve("/else/where.zip", BODY)
    url = web.serve("/set.zip", b"", redirect="/else/where.zip")
    assert bring(url) == (BODY, (end, False))


def test_redirects_in_circles_are_one_line(web: Any, bring: Any) -> None:
    url = web.serve("/set.zip", b"", redirect="/set.zip")
    with pytest.raises(DownloadError, match="too many redirects"):
        bring(url)


def test_more_announced_than_sent_is_noticed(web: Any, bring: Any) -> None:
    url = web.serve("/set.zip", BODY, announced=len(BODY) + 5)
    with pytest.raises(DownloadError, match="cut"):
        bring(url)


def test_a_range_that_comes_in_pieces(web: Any, bring: Any) -> None:
    # Some proxies answer less of a range than was asked for; the length of the file is what counts.
    url = web.serve("/set.zip", BODY, cut=[100])
    with pytest.raises(DownloadError):
        bring(url)
    web.files["/set.zip"].cut, web.files["/set.zip"].announced = [None], 60_000
    assert bring(url)[0] == BODY


def test_a_slow_server_is_waited_for_and_a_silent_one_is_not(web: Any, bring: Any) -> None:
    assert bring(web.serve("/slow.zip", BODY, pause=0.1))[0] == BODY
    with pytest.raises(DownloadError, match="stopped responding"):
        bring(web.serve("/silent.zip", BODY, pause=0.7))


def test_a_server_that_recovers(web: Any, bring: Any, display: Any) -> None:
    url = web.serve("/set.zip", BODY, status=[503, 429, 200], retry_after="0")
    assert bring(url)[0] == BODY
    assert display.messages[0].startswith(f"{url}: HTTP 503 Service Unavailable")


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final(web: Any, bring: Any, status: int) -> None:
    url = web.serve("/set.zip", b"", status=[status])
    with pytest.raises(DownloadError, match=f"{url}: HTTP {status}"):
        bring(url)
    assert len(web.requests) == 1


def test_bytes_are_kept_as_they_are(web: Any, bring: Any) -> None:
    # Apache declares .tgz as gzip-encoded; unpacked on the way it would be another file.
    url = web.serve("/set.tgz", BODY, encoding="x-gzip")
    assert bring(url)[0] == BODY
    assert web.requests[0][1]["Accept-Encoding"] == "identity"


def test_without_a_length(web: Any, bring: Any, display: Any) -> None:
    assert bring(web.serve("/set.zip", BODY, chunked=True))[0] == BODY
    assert display.tasks == [("set.zip", None, 0)]
    with pytest.raises(DownloadError, match="cut"):
        bring(web.serve("/other.zip", BODY, chunked=True, cut=[10, 0]))


def test_the_proxy_of_the_environment_is_used(web: Any, bring: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    web.serve("/far/set.zip", BODY)
    monkeypatch.setenv("http_proxy", web.address)
    assert bring("http://archive.invalid/far/set.zip")[0] == BODY
    assert web.requests[0][1]["Host"] == "archive.invalid"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/set.zip", "refused, 3 times"),
        ("http://host.invalid/set.zip", "cannot be resolved"),
        ("ftp://127.0.0.1/set.zip", "not an http or https"),
        ("set.zip", "not an http or https"),
    ],
)
def test_addresses_that_lead_nowhere(web: Any, bring: Any, url: str, words: str) -> None:
    with pytest.raises(DownloadError, match=words):
        bring(url)


def test_no_room_is_told_before(web: Any, bring: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    url = web.serve("/set.zip", BODY)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DataError, match=r"set.zip: needs 0.2 MB"):
        bring(url)


def test_a_stop_keeps_what_came(web: Any, bring: Any, tmp_path: Path, display: Any) -> None:
    url = web.serve("/set.zip", BODY)

    def stop(step: int) -> None:
        display.advanced += step
        if display.advanced > 60_000:
            raise KeyboardInterrupt

    display.advance = stop
    with pytest.raises(KeyboardInterrupt):
        bring(url)
    part = part_path(tmp_path / "set.zip", url)
    kept = part.stat().st_size
    assert 60_000 < kept < len(BODY)
    assert json.loads(part.with_suffix(".json").read_text())["total"] == len(BODY)
    display.advance = lambda step: None
    assert bring(url)[0] == BODY
    assert web.requested_ranges("/set.zip")[-1] == f"bytes={kept}-"


def test_a_damaged_note_starts_again(web: Any, bring: Any, tmp_path: Path) -> None:
    url = web.serve("/set.zip", BODY, cut=[100])
    with pytest.raises(DownloadError):
        bring(url)
    part_path(tmp_path / "set.zip", url).with_suffix(".json").write_text("{")
    web.files["/set.zip"].cut = [None]
    assert bring(url)[0] == BODY
    assert web.requested_ranges("/set.zip")[-1] is None
