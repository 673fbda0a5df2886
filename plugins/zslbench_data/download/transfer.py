"""Resumable download of one file.

Bytes are written to a part file, and what the server said about the file to a JSON file next to it. A retry
asks for the rest with a range request that holds only while the file is unchanged (If-Range), and starts over
if the server does not support ranges or has another file now. The length is compared with the announced one.

This is written by hand because neither requests, urllib3 nor pooch resumes a transfer or checks its length;
urllib3's Retry counts the tries and spaces them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from urllib3.util import Retry

from zslbench import __version__
from zslbench.errors import ZslbenchError
from zslbench.store import write_whole
from zslbench_data.progress import Display, human

_RETRIED = {408, 425, 429, 500, 502, 503, 504}
"""HTTP status codes that a retry may change."""
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_SPARE = 64 << 20
_NETWORK_ERRORS = requests.RequestException, urllib3.exceptions.HTTPError
_DESCRIPTIONS = (
    ("SSL", "the secure connection failed (certificate or proxy)", False),
    ("ProxyError", "the proxy failed", False),
    ("NameResolution", "the host name cannot be resolved", False),
    ("Failed to resolve", "the host name cannot be resolved", False),
    ("refused", "the connection was refused", True),
    ("imed out", "the server stopped responding", True),
    ("ProtocolError", "the connection was cut", True),
    ("RemoteDisconnected", "the connection was cut", True),
    ("TooManyRedirects", "too many redirects", False),
    ("Invalid", "not an http or https address", False),
    ("MissingSchema", "not an http or https address", False),
)
"""Text in a network error, its description, and whether a retry may help."""


class DownloadError(ZslbenchError):
    """A file could not be downloaded."""


class _Retryable(Exception):
    """A fault that a retry may fix."""

    def __init__(self, reason: str, retry_after: str | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Policy:
    """How patient a transfer is. Times in seconds."""

    tries: int = 5
    """Tries in a row without progress."""
    progress: int = 1 << 20
    """Bytes that count as progress."""
    pause: float = 1.0
    """Backoff factor: the pause doubles with each try."""
    longest_pause: float = 60.0
    connect: float = 20.0
    read: float = 60.0
    """How long the server may send nothing."""
    chunk: int = 1 << 18

    def retries(self) -> Retry:
        return Retry(self.tries - 1, backoff_factor=self.pause, backoff_max=self.longest_pause)


def part_path(target: Path, url: str) -> Path:
    """Where the bytes of ``target`` from ``url`` are collected: one file per address, never mixed."""
    return target.with_name(f".{target.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")


def discard(part: Path) -> None:
    """Remove a part file and the notes about it."""
    part.unlink(missing_ok=True)
    _notes_path(part).unlink(missing_ok=True)


def transfer(
    session: requests.Session,
    url: str,
    part: Path,
    *,
    policy: Policy,
    display: Display,
    limit: int | None = None,
) -> tuple[str, bool]:
    """Download ``url`` to ``part``, resuming what is there. If interrupted, the bytes received so far stay.

    Args:
        limit: the largest acceptable number of bytes.

    Returns:
        The final address after redirects, and whether bytes of an earlier try were used.

    Raises:
        DownloadError: the server refuses, cannot be reached or keeps cutting; or the disk is too full.
        OSError: ``part`` cannot be written.
    """
    retries, highest = policy.retries(), _size(part)
    while True:
        try:
            return _try(session, url, part, policy, display, limit)
        except _Retryable as fault:
            # Bytes that are received again after starting over are not progress.
            if _size(part) - highest >= policy.progress:
                retries = policy.retries()
            highest = max(highest, _size(part))
            try:
                retries = retries.increment("GET", url)
            except urllib3.exceptions.MaxRetryError:
                kept = f"; {human(_size(part))} kept" if _size(part) else ""
                raise DownloadError(f"{url}: {fault}, {policy.tries} times{kept}") from None
            pause = min(max(retries.get_backoff_time(), _wait(retries, fault)), policy.longest_pause)
            display.message(f"{url}: {fault}; retrying in {pause:.0f} s")
            time.sleep(pause)
        except _NETWORK_ERRORS as error:
            raise DownloadError(f"{url}: {_describe(error)[0]}") from None


def _try(
    session: requests.Session, url: str, part: Path, policy: Policy, display: Display, limit: int | None
) -> tuple[str, bool]:
    have, notes = _size(part), _read_notes(part)
    # The stored bytes: servers may offer to compress, or decompress a .tgz on the way.
    headers = {"Accept-Encoding": "identity", "User-Agent": f"zslbench/{__version__}"}
    if have and notes:
        headers["Range"] = f"bytes={have}-"
        if notes["validator"]:
            headers["If-Range"] = notes["validator"]
    try:
        with session.get(
            url, headers=headers, stream=True, timeout=(policy.connect, policy.read)
        ) as response:
            begin, total = _body_range(response, part, have, notes)
            if begin is None:
                return response.url, True
            _check_limit(url, part, total, limit)
            new_notes = {"url": url, "validator": _validator(response), "total": total}
            write_whole(_notes_path(part), json.dumps(new_notes).encode())
            check_room(part.parent, total - begin if total is not None else 0)
            display.begin(urlsplit(url).path.rpartition("/")[2], total, begin)
            try:
                _receive(response, part, begin, policy.chunk, display, limit)
            finally:
                display.end()
            got = _size(part)
            if total is not None and got < total:
                raise _Retryable(f"the connection was cut after {human(got)} of {human(total)}")
            if total is not None and got > total:
                discard(part)
                raise _Retryable(f"sent {got} bytes, announced {total}")
            return response.url, begin > 0
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        reason, retryable = _describe(error)
        if not retryable:
            raise
        got, total = _size(part), (_read_notes(part) or {}).get("total")
        raise _Retryable(f"{reason} after {human(got)} of {human(total)}" if got else reason) from None


def _body_range(
    response: requests.Response, part: Path, have: int, notes: dict[str, Any] | None
) -> tuple[int | None, int | None]:
    """Where the body begins in the file (None: the part is complete), and the length of the file."""
    status = response.status_code
    if status == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    if status == 206:
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        total = int(match[2]) if match and match[2] != "*" else None
        if match is None or int(match[1]) != have or notes is None or total != notes["total"]:
            discard(part)
            raise _Retryable("the server sent another range or file than requested")
        return have, total
    if status == 416:  # the file has nothing beyond what is here
        if notes and have == notes["total"]:
            return None, have
        discard(part)
        raise _Retryable("the file has become shorter")
    if status in _RETRIED:
        raise _Retryable(f"HTTP {status} {response.reason}", response.headers.get("Retry-After"))
    raise DownloadError(f"{response.url}: HTTP {status} {response.reason}")


def _check_limit(url: str, part: Path, size: int | None, limit: int | None) -> None:
    if limit is not None and size is not None and size > limit:
        discard(part)
        raise DownloadError(f"{url}: sends {human(size)} or more, expected at most {human(limit)}")


def _receive(
    response: requests.Response, part: Path, begin: int, chunk: int, display: Display, limit: int | None
) -> None:
    with part.open("r+b" if begin else "wb") as file:
        file.seek(begin)
        try:
            for piece in response.raw.stream(chunk, decode_content=False):
                file.write(piece)
                display.advance(len(piece))
                _check_limit(response.url, part, file.tell(), limit)
        finally:  # however it ends, what was received stays
            file.flush()
            os.fsync(file.fileno())


def _validator(response: requests.Response) -> str | None:
    tag = response.headers.get("ETag", "")
    # A weak tag promises only equivalent content; ranges need identical bytes.
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _wait(retries: Retry, fault: _Retryable) -> float:
    """How long the server asks to wait."""
    try:
        return float(retries.parse_retry_after(fault.retry_after)) if fault.retry_after else 0.0
    except urllib3.exceptions.InvalidHeader:
        return 0.0


def _describe(error: Exception) -> tuple[str, bool]:
    """A network error in a few words, and whether a retry may help."""
    text = f"{type(error).__name__} {error} {error.__context__ or ''}"
    known = ((words, retryable) for sign, words, retryable in _DESCRIPTIONS if sign in text)
    return next(known, (f"the transfer failed ({type(error).__name__})", True))


def check_room(folder: Path, size: int) -> None:
    """Raise DownloadError if the disk of ``folder`` has no room for ``size`` bytes and some to spare."""
    free = shutil.disk_usage(folder).free
    if size + _SPARE > free:
        raise DownloadError(f"{folder}: needs {human(size)}, the disk has {human(free)} free")


def _notes_path(part: Path) -> Path:
    return part.with_suffix(".json")


def _read_notes(part: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(_notes_path(part).read_text("utf-8"))
        if isinstance(found, dict) and {"validator", "total"} <= found.keys():
            return found
    return None


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
