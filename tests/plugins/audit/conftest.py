"""Methods that leak, registered with the installed ones, and settings of a tiny data set."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import IO, Any

import pytest
import torch

import zslbench_audit as audit
from zslbench.plugin.lookup import Registry
from zslbench.testing.fakes import registry_with, using_registry
from zslbench_audit import AuditResult
from zslbench_audit.__main__ import serve

SMALL: dict[str, Any] = {
    "dataset.seed": 0,
    "dataset.classes": 10,
    "dataset.unseen": 3,
    "dataset.images_per_class": 12,
}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are forks of this one, which saves the imports; they see its plugins and its patches."""
    monkeypatch.setattr("zslbench_audit.process.start", forked)


def forked() -> tuple[IO[bytes], IO[bytes], Callable[[], object]]:
    """As ``zslbench_audit.process.start``."""
    (requests, ask), (answer, replies) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ask), os.close(answer)
        try:
            serve(os.fdopen(requests, "rb"), os.fdopen(replies, "wb"))
        finally:
            os._exit(0)
    os.close(requests), os.close(replies)
    streams = os.fdopen(ask, "wb"), os.fdopen(answer, "rb")

    def end() -> None:
        for stream in streams:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    return *streams, end


@pytest.fixture(scope="session")
def _with_leaky() -> Iterator[Registry]:
    importlib.invalidate_caches()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        leaky = EntryPoint("leaky", "zslbench_leaky", "zslbench")
        yield registry_with(leaky)


@pytest.fixture
def known(_with_leaky: Registry) -> Iterator[Registry]:
    """The installed plugins and ``zslbench_leaky``; every audit of a test sees these."""
    with using_registry(_with_leaky):
        yield _with_leaky


@pytest.fixture
def audited(known: Registry) -> Callable[..., AuditResult]:
    """An audit on the tiny data set, not saved."""

    def one(method: str | None = None, **options: Any) -> AuditResult:
        settings = SMALL | options.pop("settings", {})
        return audit.judge(method, settings=settings, **({"keep": False, "epochs": 2} | options))

    return one


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """Settings of the tiny data set."""
    return dict(SMALL)
