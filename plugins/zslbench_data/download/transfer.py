"""One file over HTTP, which a cut does not lose.

Bytes go to a part file; beside it lies what the server said of the file. The next try asks for the rest by
a range request that holds only while the file is the same (If-Range), and starts again where the server does
not know ranges or has another file now. The length is checked against what the server announced. Proxies are
those of the environment (``HTTPS_PROXY``, ``NO_PROXY``, ...), as requests reads them.

pooch, which the field's downloads often use, neither goes on with a cut transfer nor checks lengths.
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

from zslbench import __version__
from zslbench.store import write_whole
from zslbench_data.download.display import Display, human
from zslbench_data.download.faults import FINAL, DownloadError, plain

_AGAIN = {408, 425, 429, 500, 502, 503, 504}
"""Answers that another try may change."""

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_ROOM = 64 << 20


@dataclass(frozen=True)
class Policy:
    """How patient a transfer is. Times in seconds."""

    tries: int = 5
    """Tries in a row that bring nothing worth mentioning."""
    worth: int = 1 << 20
    """Bytes that make a try worth mentioning."""
    pause: float = 1.0
    """Before the second try; doubled before each further one."""
    longest_pause: float = 60.0
    connect: float = 20.0
    silence: float = 60.0
    """How long the server may send nothing."""
    chunk: int = 1 << 18


class _Again(Exception):
    """A fault that another try may mend."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


def part_path(target: Path, url: str) -> Path:
    """Where the bytes of ``target`` lie that came from ``url``: one file per address, never mixed."""
    return target.with_name(f".{target.name}.{hashlib.sha256(url.encode()).hexdigest()[:8]}.part")


def forget(part: Path) -> None:
    """Remove a part file and what is known of it."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def transfer(
    session: requests.Session,
    url: str,
    part: Path,
    *,
    policy: Policy,
    display: Display,
    most: int | None = None,
) -> tuple[str, bool]:
    """Bring ``url`` to ``part``, going on with what is there. Interrupted, it keeps what came.

    Args:
        most: more bytes are refused: so large a file is another one, or has no end.

    Returns:
        The address that answered in the end (after redirects), and whether older bytes were kept.

    Raises:
        DownloadError: the server refuses, is not there, or keeps cutting; or there is no room.
        OSError: ``part`` cannot be written.
    """
    fruitless, highest = 0, _size(part)
    while True:
        try:
            return _try(session, url, part, policy, display, most)
        except _Again as fault:
            # Bytes that come again after a new start are no progress.
            fruitless = 1 if _size(part) - highest >= policy.worth else fruitless + 1
            highest = max(highest, _size(part))
            if fruitless >= policy.tries:
                kept = f", {human(_size(part))} are kept" if _size(part) else ""
                raise DownloadError(f"{url}: {fault}, {policy.tries} times{kept}") from None
            pause = min(max(policy.pause * 2 ** (fruitless - 1), fault.after), policy.longest_pause)
            display.say(f"{url}: {fault}; trying again in {pause:.0f} s")
            time.sleep(pause)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise DownloadError(f"{url}: {plain(error)}") from None


def _try(
    session: requests.Session,
    url: str,
    part: Path,
    policy: Policy,
    display: Display,
    most: int | None,
) -> tuple[str, bool]:
    have, known = _size(part), _read_note(part)
    # Bytes as they are: a server may offer to compress, or take .tgz for a compressed .tar.
    headers = {"Accept-Encoding": "identity", "User-Agent": f"zslbench/{__version__}"}
    if have and known:
        headers["Range"] = f"bytes={have}-"
        if known["validator"]:
            headers["If-Range"] = known["validator"]
    try:
        with session.get(
            url, headers=headers, stream=True, timeout=(policy.connect, policy.silence)
        ) as answer:
            begin, total = _understood(answer, part, have, known)
            if begin is None:
                return answer.url, True
            _expect(url, part, total, most)
            note = {"url": url, "validator": _validator(answer), "total": total}
            write_whole(_note(part), json.dumps(note).encode())
            check_room(part.parent, total - begin if total is not None else 0)
            display.begin(urlsplit(url).path.rpartition("/")[2], total, begin)
            try:
                _receive(answer, part, begin, policy.chunk, display, most)
            finally:
                display.end()
            got = _size(part)
            if total is not None and got < total:
                raise _Again(f"cut after {human(got)} of {human(total)}")
            if total is not None and got > total:
                forget(part)
                raise _Again(f"sent {got} bytes, announced {total}")
            return answer.url, begin > 0
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        words = plain(error)
        if words in FINAL:
            raise
        got, total = _size(part), (_read_note(part) or {}).get("total")
        cut = f" after {human(got)} of {human(total)}" if got else ""
        raise _Again(f"{words}{cut}") from None


def _understood(
    answer: requests.Response, part: Path, have: int, known: dict[str, Any] | None
) -> tuple[int | None, int | None]:
    """Where the answer's bytes begin in the file (None: the file is complete), and the file's length."""
    code = answer.status_code
    if code == 200:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    if code == 206:
        match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        total = int(match[2]) if match and match[2] != "*" else None
        same = known is not None and total == known["total"]
        if match is None or int(match[1]) != have or not same:
            forget(part)
            raise _Again("answered another range or file than was asked for")
        return have, total
    if code == 416:  # nothing lies beyond what we have
        if known and have == known["total"]:
            return None, have
        forget(part)
        raise _Again("the file has become shorter")
    if code in _AGAIN:
        after = answer.headers.get("Retry-After", "")
        raise _Again(f"HTTP {code} {answer.reason}", float(after) if after.isdigit() else 0.0)
    raise DownloadError(f"{answer.url}: HTTP {code} {answer.reason}")


def _expect(url: str, part: Path, size: int | None, most: int | None) -> None:
    if most is not None and size is not None and size > most:
        forget(part)
        raise DownloadError(f"{url}: sends {human(size)} or more, at most {human(most)} are expected")


def _receive(
    answer: requests.Response, part: Path, begin: int, chunk: int, display: Display, most: int | None
) -> None:
    with part.open("r+b" if begin else "wb") as file:
        file.seek(begin)
        try:
            for piece in answer.raw.stream(chunk, decode_content=False):
                file.write(piece)
                display.advance(len(piece))
                _expect(answer.url, part, file.tell(), most)
        finally:  # whatever ends it, what came is kept
            file.flush()
            os.fsync(file.fileno())


def _validator(answer: requests.Response) -> str | None:
    tag = answer.headers.get("ETag", "")
    # A weak tag says only that the content means the same; ranges need the same bytes.
    return tag if tag.startswith('"') else answer.headers.get("Last-Modified")


def check_room(folder: Path, size: int) -> None:
    """Raise DownloadError where a folder's disk has no room for ``size`` bytes, and a little to spare."""
    free = shutil.disk_usage(folder).free
    if size + _ROOM > free:
        raise DownloadError(f"{folder}: {human(size)} are to come and {human(free)} are free")


def _note(part: Path) -> Path:
    return part.with_suffix(".json")


def _read_note(part: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(_note(part).read_text("utf-8"))
        if isinstance(found, dict) and {"validator", "total"} <= found.keys():
            return found
    return None


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0
