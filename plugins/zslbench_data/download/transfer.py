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
import queue
import re
import threading
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
from zslbench.store import parse_json, write_atomically
from zslbench_data.progress import Display, human

RETRIES = Retry(4, backoff_factor=1, backoff_max=60)
"""How many tries in a row may make no progress, and the pauses between them in seconds, which double."""
PROGRESS, MOST_TRIES = 1 << 16, 500
"""Bytes beyond the highest mark that count as progress, and how many tries there may be altogether."""
TIMEOUT = 20.0, 60.0
"""Seconds that connecting may take, and that the server may send nothing."""
CHUNK = 1 << 18
SLOWEST, WINDOW = 1000, 60.0
"""Fewest bytes per second that count as sending, on average over so many seconds."""
ANSWER = 120.0
"""Seconds until the headers of an answer are complete, redirects included."""
LONGEST = 24 * 3600.0
"""Seconds that the transfer of a file may take altogether."""

_RETRIED = {408, 425, 429, 500, 502, 503, 504}
"""HTTP status codes after which a retry may succeed."""
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]+/([0-9]{1,18}|\*)")
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

    wait = 0.0
    """Seconds that the server asks to wait."""


def part_path(target: Path, url: str) -> Path:
    """Where the bytes of ``target`` from ``url`` are collected: one file per address, never mixed."""
    return target.with_name(f".{target.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")


def discard(part: Path) -> None:
    """Remove a part file and its metadata."""
    part.unlink(missing_ok=True)
    part.with_suffix(".json").unlink(missing_ok=True)


@dataclass(frozen=True)
class Transfer:
    """The download of ``url`` to ``part``.

    Args:
        limit: the largest acceptable number of bytes; None: any.
    """

    session: requests.Session
    url: str
    part: Path
    display: Display
    limit: int | None = None

    def run(self) -> tuple[str, bool]:
        """Download the file, resuming what is in ``part``. If interrupted, the bytes received so far stay.

        Returns:
            The final address after redirects, and whether bytes of an earlier try were used.

        Raises:
            DownloadError: the server refuses, cannot be reached, keeps cutting or is far too slow.
            DataError: the disk is too full.
            OSError: ``part`` cannot be written.
        """
        retries, mark, deadline = RETRIES, self._size, time.monotonic() + LONGEST
        tries = 0
        while True:
            try:
                return self._try(deadline)
            except _Retryable as fault:
                tries += 1
                # Bytes that are received again after starting over are not progress.
                if self._size - mark >= PROGRESS:
                    retries, mark = RETRIES, self._size
                left = tries < MOST_TRIES
                try:
                    retries = retries.increment("GET", self.url)
                except urllib3.exceptions.MaxRetryError:
                    left, tries = False, len(retries.history) + 1
                if not left:
                    saved = f"; {human(self._size)} saved" if self._size else ""
                    raise DownloadError(f"{self.url}: {fault}, {tries} times{saved}") from None
                if time.monotonic() > deadline:
                    raise DownloadError(f"{self.url}: {fault}, for over {LONGEST / 3600:.0f} hours") from None
                pause = min(max(retries.get_backoff_time(), fault.wait), retries.backoff_max)
                self.display.message(f"{self.url}: {fault}; retrying in {pause:.0f} s")
                time.sleep(pause)

    @property
    def _size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _try(self, deadline: float) -> tuple[str, bool]:
        have, announced = self._size, self._announced()
        # The stored bytes: servers may offer to compress, or decompress a .tgz on the way.
        headers = {"Accept-Encoding": "identity", "User-Agent": f"zslbench/{__version__}"}
        if have and announced:
            headers["Range"] = f"bytes={have}-"
            if announced["validator"]:
                headers["If-Range"] = announced["validator"]
        try:
            with self._answer(headers) as response:
                begin, total = self._body_range(response, have, announced)
                if not begin or begin != total:
                    self._receive(response, begin, total, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason, retryable = _describe(error)
            if not retryable:
                raise DownloadError(f"{self.url}: {reason}") from None
            total = (self._announced() or {}).get("total")
            got = f" after {human(self._size)} of {human(total)}" if self._size else ""
            raise _Retryable(f"{reason}{got}") from None
        size = self._size
        if total is not None and size < total:
            raise _Retryable(f"the connection was cut after {human(size)} of {human(total)}")
        if total is not None and size > total:
            discard(self.part)
            raise _Retryable(f"sent {size} bytes, announced {total}")
        return response.url, begin > 0

    def _answer(self, headers: dict[str, str]) -> requests.Response:
        """The server's answer, without its body. A server may send headers byte by byte, each within the
        timeout, so another thread waits for them; it is abandoned with its connection when it is too slow."""
        answers: queue.SimpleQueue[requests.Response | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self.session.get(self.url, headers=headers, stream=True, timeout=TIMEOUT))
            except Exception as error:  # raised below
                answers.put(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=ANSWER)
        except queue.Empty:
            raise _Retryable(f"no complete answer within {ANSWER:.0f} s") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _announced(self) -> dict[str, Any] | None:
        """What the server announced when the first bytes of the part came."""
        with contextlib.suppress(OSError, ValueError):
            found = parse_json(self.part.with_suffix(".json").read_text("utf-8"))
            if isinstance(found, dict) and {"validator", "total"} <= found.keys():
                return found
        return None

    def _body_range(
        self, response: requests.Response, have: int, announced: dict[str, Any] | None
    ) -> tuple[int, int | None]:
        """Where the body begins in the file, and the length of the file."""
        status, headers = response.status_code, response.headers
        if status == 200:
            length = headers.get("Content-Length", "")
            return 0, int(length) if re.fullmatch("[0-9]{1,18}", length) else None
        if status == 206:
            match = _RANGE.fullmatch(headers.get("Content-Range", ""))
            total = int(match[2]) if match and match[2] != "*" else None
            if match is None or int(match[1]) != have or announced is None or total != announced["total"]:
                discard(self.part)
                raise _Retryable("the server sent another range or file than requested")
            return have, total
        if status == 416:  # the file has nothing beyond what is here
            if announced and have == announced["total"]:
                return have, have
            discard(self.part)
            raise _Retryable("the file has become shorter")
        reason = f"HTTP {status} {response.reason}"
        if status not in _RETRIED:
            raise DownloadError(f"{response.url}: {reason}")
        fault = _Retryable(reason)
        with contextlib.suppress(urllib3.exceptions.InvalidHeader):
            fault.wait = Retry().parse_retry_after(headers.get("Retry-After", "0"))
        raise fault

    def _receive(self, response: requests.Response, begin: int, total: int | None, deadline: float) -> None:
        self._check_limit(total)
        tag = response.headers.get("ETag", "")
        # A weak tag promises only equivalent content; ranges need identical bytes.
        validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
        announced = {"url": self.url, "validator": validator, "total": total}
        write_atomically(self.part.with_suffix(".json"), json.dumps(announced).encode())
        name = urlsplit(self.url).path.rpartition("/")[2]
        require_space(self.part.with_name(name), total - begin if total is not None else 0)
        with self.display.task(name, total, begin), self.part.open("r+b" if begin else "wb") as file:
            file.seek(begin)
            since, before = time.monotonic(), begin
            try:
                # Unlike read and stream, read1 returns what has come, however little.
                while piece := response.raw.read1(CHUNK, decode_content=False):
                    file.write(piece)
                    self.display.advance(len(piece))
                    self._check_limit(file.tell())
                    now = time.monotonic()
                    if now > deadline:
                        raise DownloadError(f"{self.url}: the download takes over {LONGEST / 3600:.0f} hours")
                    if now - since > WINDOW:
                        if file.tell() - before < SLOWEST * (now - since):
                            raise _Retryable(f"the server sends under {human(SLOWEST)}/s")
                        since, before = now, file.tell()
            finally:  # however it ends, what was received stays
                file.flush()
                os.fsync(file.fileno())

    def _check_limit(self, size: int | None) -> None:
        if self.limit is not None and size is not None and size > self.limit:
            discard(self.part)
            limit = human(self.limit)
            raise DownloadError(f"{self.url}: sends at least {human(size)}, expected at most {limit}")


def _describe(error: Exception) -> tuple[str, bool]:
    """A network error in a few words, and whether a retry may help."""
    text = f"{type(error).__name__} {error} {error.__context__ or ''}"
    known = ((words, retryable) for sign, words, retryable in _DESCRIPTIONS if sign in text)
    return next(known, (f"the transfer failed ({type(error).__name__})", True))
