"""Resumable download of one file.

Bytes are written to a part file, and what the server announced to a JSON file next to it. A retry requests
the rest with a range that is valid only while the file is unchanged (If-Range), and starts over if the server
has no ranges or another file now. The length is compared with the announced one.

This is written by hand because neither requests, urllib3 nor pooch resumes a transfer or checks its length;
urllib3's Retry counts the tries and spaces them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from urllib3.util import Retry

from zslbench import __version__
from zslbench.data import require_space
from zslbench.errors import ZslbenchError
from zslbench.store import write_whole
from zslbench_data.progress import Display, human

_RETRIED = {408, 425, 429, 500, 502, 503, 504}
"""HTTP status codes after which a retry may succeed."""
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
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
    """Timeouts and retries of a transfer, in seconds."""

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
    """Remove a part file and its metadata."""
    part.unlink(missing_ok=True)
    _notes_path(part).unlink(missing_ok=True)


@dataclass(frozen=True)
class Transfer:
    """The download of ``url`` to ``part``.

    Args:
        limit: the largest acceptable number of bytes; None: any.
    """

    session: requests.Session
    url: str
    part: Path
    policy: Policy
    display: Display
    limit: int | None = None

    def run(self) -> tuple[str, bool]:
        """Download the file, resuming what is in ``part``. If interrupted, the bytes received so far stay.

        Returns:
            The final address after redirects, and whether bytes of an earlier try were used.

        Raises:
            DownloadError: the server refuses, cannot be reached or keeps cutting.
            DataError: the disk is too full.
            OSError: ``part`` cannot be written.
        """
        retries, highest = self.policy.retries(), self._size
        while True:
            try:
                return self._try()
            except _Retryable as fault:
                # Bytes that are received again after starting over are not progress.
                if self._size - highest >= self.policy.progress:
                    retries = self.policy.retries()
                highest = max(highest, self._size)
                try:
                    retries = retries.increment("GET", self.url)
                except urllib3.exceptions.MaxRetryError:
                    saved = f"; {human(self._size)} saved" if self._size else ""
                    raise DownloadError(f"{self.url}: {fault}, {self.policy.tries} times{saved}") from None
                pause = max(retries.get_backoff_time(), _requested_wait(retries, fault))
                pause = min(pause, self.policy.longest_pause)
                self.display.message(f"{self.url}: {fault}; retrying in {pause:.0f} s")
                time.sleep(pause)
            except _NETWORK_ERRORS as error:
                raise DownloadError(f"{self.url}: {_describe(error)[0]}") from None

    @property
    def _size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _try(self) -> tuple[str, bool]:
        have, notes = self._size, _read_notes(self.part)
        # The stored bytes: servers may offer to compress, or decompress a .tgz on the way.
        headers = {"Accept-Encoding": "identity", "User-Agent": f"zslbench/{__version__}"}
        if have and notes:
            headers["Range"] = f"bytes={have}-"
            if notes["validator"]:
                headers["If-Range"] = notes["validator"]
        timeout = self.policy.connect, self.policy.read
        try:
            with self.session.get(self.url, headers=headers, stream=True, timeout=timeout) as response:
                begin, total = self._body_range(response, have, notes)
                if begin is None:
                    return response.url, True
                self._check_limit(total)
                announced = {"url": self.url, "validator": _validator(response), "total": total}
                write_whole(_notes_path(self.part), json.dumps(announced).encode())
                name = urlsplit(self.url).path.rpartition("/")[2]
                require_space(self.part.with_name(name), total - begin if total is not None else 0)
                with self.display.task(name, total, begin):
                    self._receive(response, begin)
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            reason, retryable = _describe(error)
            if not retryable:
                raise
            total = (_read_notes(self.part) or {}).get("total")
            got = f" after {human(self._size)} of {human(total)}" if self._size else ""
            raise _Retryable(f"{reason}{got}") from None
        if total is not None and self._size < total:
            raise _Retryable(f"the connection was cut after {human(self._size)} of {human(total)}")
        if total is not None and self._size > total:
            got = f"sent {self._size} bytes, announced {total}"
            discard(self.part)
            raise _Retryable(got)
        return response.url, begin > 0

    def _body_range(
        self, response: requests.Response, have: int, notes: dict[str, Any] | None
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
                discard(self.part)
                raise _Retryable("the server sent another range or file than requested")
            return have, total
        if status == 416:  # the file has nothing beyond what is here
            if notes and have == notes["total"]:
                return None, have
            discard(self.part)
            raise _Retryable("the file has become shorter")
        if status in _RETRIED:
            raise _Retryable(f"HTTP {status} {response.reason}", response.headers.get("Retry-After"))
        raise DownloadError(f"{response.url}: HTTP {status} {response.reason}")

    def _receive(self, response: requests.Response, begin: int) -> None:
        with self.part.open("r+b" if begin else "wb") as file:
            file.seek(begin)
            try:
                for piece in response.raw.stream(self.policy.chunk, decode_content=False):
                    file.write(piece)
                    self.display.advance(len(piece))
                    self._check_limit(file.tell())
            finally:  # however it ends, what was received stays
                file.flush()
                os.fsync(file.fileno())

    def _check_limit(self, size: int | None) -> None:
        if self.limit is not None and size is not None and size > self.limit:
            discard(self.part)
            limit = human(self.limit)
            raise DownloadError(f"{self.url}: sends at least {human(size)}, expected at most {limit}")


def _validator(response: requests.Response) -> str | None:
    tag = response.headers.get("ETag", "")
    # A weak tag promises only equivalent content; ranges need identical bytes.
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _requested_wait(retries: Retry, fault: _Retryable) -> float:
    """Seconds that the server asks to wait."""
    try:
        return float(retries.parse_retry_after(fault.retry_after)) if fault.retry_after else 0.0
    except urllib3.exceptions.InvalidHeader:
        return 0.0


def _describe(error: Exception) -> tuple[str, bool]:
    """A network error in a few words, and whether a retry may help."""
    text = f"{type(error).__name__} {error} {error.__context__ or ''}"
    known = ((words, retryable) for sign, words, retryable in _DESCRIPTIONS if sign in text)
    return next(known, (f"the transfer failed ({type(error).__name__})", True))


def _notes_path(part: Path) -> Path:
    return part.with_suffix(".json")


def _read_notes(part: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(_notes_path(part).read_text("utf-8"))
        if isinstance(found, dict) and {"validator", "total"} <= found.keys():
            return found
    return None
