"""A second process and how it is asked: requests are pickled; replies, JSON and arrays, cannot run code.

An audit has two processes: one runs plugins and is given false classes of test images; the other never
imports a plugin, holds the true classes, and evaluates the scores that it is given.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import IO, Any

import numpy as np

from zslbench import errors
from zslbench.errors import DataError, PluginError, PluginFailure, ZslbenchError
from zslbench.store import parse_json

Arrays = dict[str, np.ndarray]
Notify = Callable[[str], None]


class Leak(Exception):
    """How a probe's claim was broken."""


class Process:
    """A new process, which imports nothing that this one has imported."""

    def __init__(self) -> None:
        self._requests, self._replies, self._end = start()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def ask(self, action: str, *, notify: Notify = lambda text: None, **given: Any) -> tuple[Any, Arrays]:
        """The reply to a request: a value, and arrays by name. Progress goes to ``notify``.

        Raises:
            Leak, ZslbenchError: what the action raised.
            PluginError: it raised another error, or the process ended.
        """
        try:
            pickle.dump((action, given), self._requests)
            self._requests.flush()
            while line := self._replies.readline():
                message = parse_json(line)
                if "says" in message:
                    notify(message["says"])
                    continue
                content = self._replies.read(message["size"])
                if len(content) < message["size"]:
                    raise EOFError
                with np.load(io.BytesIO(content), allow_pickle=False) as file:
                    arrays = {name: file[name] for name in file.files}
                break
            else:
                raise EOFError
        except (OSError, EOFError):
            raise PluginError("the method's process ended without a result: a plugin crashed it") from None
        except (ValueError, KeyError, TypeError) as error:
            raise PluginError(f"the method's process sent an unreadable reply: {error}") from error
        if "value" in message:
            return message["value"], arrays
        raise _error(str(message.get("type")), str(message.get("error")))


def _error(kind: str, text: str) -> Exception:
    if kind == Leak.__name__:
        return Leak(text)
    found = getattr(errors, kind, None)
    if (
        not isinstance(found, type)
        or not issubclass(found, ZslbenchError)
        or issubclass(found, PluginFailure)
    ):
        return PluginError(text)  # the text says where
    return ZslbenchError(text) if issubclass(found, DataError) else found(text)  # the text names all faults


def start() -> tuple[IO[bytes], IO[bytes], Callable[[], object]]:
    """Start a process; returns where to write requests, where to read replies, and what ends it."""
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "zslbench_audit"],  # -P: nothing from the current folder
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def end() -> None:
        with process:
            process.kill()

    return process.stdin, process.stdout, end


def send(replies: IO[bytes], message: Mapping[str, Any], arrays: Mapping[str, np.ndarray] = {}) -> None:
    """Write a reply, or a line of progress (``says``)."""
    content = io.BytesIO()
    if "says" not in message:
        np.savez(content, allow_pickle=False, **arrays)
        message = {**message, "size": len(content.getvalue())}
    replies.write(json.dumps(message, default=repr).encode() + b"\n" + content.getvalue())
    replies.flush()
