"""Replies of another process, whose errors arrive as what they were."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest

from zslbench.errors import PluginError, SettingsError, UnknownName, ZslbenchError
from zslbench_audit.__main__ import serve
from zslbench_audit.process import Leak, Process, send


def ask(monkeypatch: pytest.MonkeyPatch, content: bytes) -> Any:
    streams = io.BytesIO(), io.BytesIO(content), lambda: None
    monkeypatch.setattr("zslbench_audit.process.start", lambda: streams)
    with Process() as process:
        return process.ask("anything")


def reply(message: dict[str, Any], **arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    send(stream, message, arrays)
    return stream.getvalue()


def test_a_value_with_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    value, arrays = ask(monkeypatch, reply({"says": "soon"}) + reply({"value": [1]}, some=np.arange(3)))
    assert (value, arrays["some"].tolist()) == ([1], [0, 1, 2])


@pytest.mark.parametrize(("kind", "expected"), [
    ("DataError", ZslbenchError), ("MissingData", ZslbenchError), ("SettingsError", SettingsError),
    ("UnknownName", UnknownName), ("ZslbenchError", ZslbenchError), ("Leak", Leak),
    ("ValueError", PluginError), ("Iterable", PluginError), ("did_you_mean", PluginError),
])  # fmt: skip
def test_an_error_keeps_its_text_and_exit_code(
    monkeypatch: pytest.MonkeyPatch, kind: str, expected: type[Exception]
) -> None:
    with pytest.raises(expected) as caught:
        ask(monkeypatch, reply({"error": "res101.mat: is damaged", "type": kind}))
    assert (type(caught.value), str(caught.value)) == (expected, "res101.mat: is damaged")


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b"{}\n", reply({"value": 1})[:-9]])
def test_what_is_no_reply(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    with pytest.raises(PluginError):
        ask(monkeypatch, content)


def test_serving_ends_when_nobody_reads() -> None:
    class Closed(io.BytesIO):
        def write(self, content: Any) -> int:
            raise BrokenPipeError

    serve(io.BytesIO(pickle.dumps(("unknown", {})) * 2), Closed())
