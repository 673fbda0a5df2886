"""Methods that leak, registered with the installed ones, and settings of a tiny data set."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch

import zslbench_audit as audit
from zslbench.plugin.lookup import Registry
from zslbench.testing.fakes import registry_with, using_registry
from zslbench_audit import AuditResult

SMALL: dict[str, Any] = {
    "dataset.classes": 10,
    "dataset.unseen": 3,
    "dataset.images_per_class": 12,
}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


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
        return audit.run(method, settings=settings, **({"keep": False, "epochs": 2} | options))

    return one


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """Settings of the tiny data set."""
    return dict(SMALL)
