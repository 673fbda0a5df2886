"""A local web server that misbehaves like real ones, and small archives to serve."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from urllib3.util import Retry

from zslbench_data.download import transfer
from zslbench_data.download.archives import Fetcher
from zslbench_data.download.catalogue import Archive
from zslbench_data.progress import Display

MOST_REQUESTS = 60
"""A test that sends more has an endless loop."""


@dataclass
class File:
    """How one path is served. Lists have an entry for each request in turn; the last one is repeated."""

    body: bytes
    cut: list[int | None] = field(default_factory=lambda: [None])
    """Bytes of the body after which the connection is closed; None: all are sent."""
    status: list[int] = field(default_factory=lambda: [200])
    ranges: bool = True
    etag: str | None = '"one"'
    announced: int | None = None
    """A wrong Content-Length."""
    redirect: str | None = None
    pause: float = 0.0
    """Seconds before every quarter of the body."""
    drip: float = 0.0
    """Seconds before every byte of the body."""
    slow_headers: float = 0.0
    """Seconds before every byte of a header line that does not end."""
    other_rest: bytes | None = None
    """What requests of a range are answered with instead."""
    encoding: str | None = None
    chunked: bool = False
    retry_after: str | None = None
    answered: int = 0


@dataclass
class Web:
    """The server: files by path, and the requests it received."""

    address: str
    files: dict[str, File] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def serve(self, path: str, body: bytes, **how: Any) -> str:
        """Serve a file; returns its address."""
        self.files[path] = File(body, **how)
        return f"{self.address}{path}"

    def requested_ranges(self, path: str) -> list[str | None]:
        return [headers.get("Range") for one, headers in self.requests if one == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    web: Web

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("http://"):  # a request to a proxy
            path = "/" + path.split("/", 3)[3]
        self.web.requests.append((path, dict(self.headers)))
        if len(self.web.requests) > MOST_REQUESTS:
            self.close_connection = True
            return
        file = self.web.files.get(path)
        if file is None:
            self.send_error(404)
            return
        turn = file.answered
        file.answered += 1
        status = file.status[min(turn, len(file.status) - 1)]
        if status != 200:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if file.retry_after:
                self.send_header("Retry-After", file.retry_after)
            self.end_headers()
            return
        if file.redirect:
            self.send_response(302)
            self.send_header("Location", file.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send(file, file.cut[min(turn, len(file.cut) - 1)])

    def _send(self, file: File, cut: int | None) -> None:
        begin, total = 0, len(file.body)
        wanted = self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, file.etag)
        if wanted and file.ranges and same:
            begin = int(wanted.removeprefix("bytes=").partition("-")[0])
            if begin >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        else:
            self.send_response(200)
        body = file.body[begin:]
        if begin and file.other_rest is not None:
            body = (file.other_rest * len(body))[: len(body)]
        if file.etag:
            self.send_header("ETag", file.etag)
        while file.slow_headers:
            self.flush_headers()
            self.wfile.write(b"X")
            time.sleep(file.slow_headers)
        if file.encoding:
            self.send_header("Content-Encoding", file.encoding)
        if file.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body) if file.announced is None else file.announced))
        self.end_headers()
        if cut is not None:
            body = body[:cut]
        for at in range(len(body) if file.drip else 0):
            time.sleep(file.drip)
            self.wfile.write(body[at : at + 1])
        for quarter in range(0 if file.drip else 4):
            time.sleep(file.pause)
            piece = body[len(body) * quarter // 4 : len(body) * (quarter + 1) // 4]
            if file.chunked and piece:
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            else:
                self.wfile.write(piece)
        if file.chunked and cut is None:
            self.wfile.write(b"0\r\n\r\n")
        if cut is not None or file.announced is not None:
            self.close_connection = True


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """The server, on a free port of 127.0.0.1, until the test ends."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    web = Web(f"http://127.0.0.1:{server.server_address[1]}")
    handler.web = web
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield web
    assert len(web.requests) <= MOST_REQUESTS
    server.shutdown()
    server.server_close()


@dataclass
class RecordingDisplay(Display):
    messages: list[str] = field(default_factory=list)
    tasks: list[tuple[str, int | None, int]] = field(default_factory=list)
    advanced: int = 0
    ended: int = 0

    def message(self, text: str) -> None:
        self.messages.append(text)

    @contextlib.contextmanager
    def task(self, what: str, total: int | None, done: int = 0) -> Iterator[None]:
        self.tasks.append((what, total, done))
        try:
            yield
        finally:
            self.ended += 1

    def advance(self, step: int) -> None:
        self.advanced += step


@pytest.fixture
def display() -> RecordingDisplay:
    return RecordingDisplay()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses and small pieces in transfers."""
    monkeypatch.setattr(transfer, "RETRIES", Retry(2, backoff_factor=0.01, backoff_max=0.05))
    monkeypatch.setattr(transfer, "PROGRESS", 1000)
    monkeypatch.setattr(transfer, "TIMEOUT", (5.0, 0.5))
    monkeypatch.setattr(transfer, "CHUNK", 4096)


@pytest.fixture
def fetcher(tmp_path: Path, display: RecordingDisplay, impatient: None) -> Callable[..., Fetcher]:
    def make(**how: Any) -> Fetcher:
        return Fetcher(tmp_path / "archives", **{"display": display, **how})

    return make


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, data in files.items():
            pack.writestr(name, data)
    return out.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tape:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tape.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def make_zip() -> Callable[[dict[str, bytes]], bytes]:
    return zipped


@pytest.fixture
def make_tar() -> Callable[..., bytes]:
    return tarred


@pytest.fixture
def archive() -> Callable[..., Archive]:
    """An archive of a catalogue."""

    def make(*urls: str, body: bytes | None = None, file: str = "set.zip", **how: Any) -> Archive:
        if body is not None:
            how["checksum"] = f"sha256:{hashlib.sha256(body).hexdigest()}"
        return Archive(file, urls, page="http://example.invalid/set", holds="a set", licence="free", **how)

    return make
