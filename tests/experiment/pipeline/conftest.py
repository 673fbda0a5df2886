"""Runs in this process, with a plugin of the tests beside the installed ones."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from picture_files import data_root  # noqa: F401
from small import TF_VAEGAN

import zslbench
from zslbench.plugin.lookup import Registry
from zslbench.store.record import RunRecord
from zslbench.testing.fakes import registry_with, using_registry

SMALL: dict[str, Any] = TF_VAEGAN | {"classifier.batch_size": 30}
"""A run of tf-vaegan that takes about a second."""


@pytest.fixture(scope="session")
def _with_scripted() -> Iterator[Registry]:
    importlib.invalidate_caches()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        names = ("scripted", "scheduled")
        yield registry_with(*(EntryPoint(name, f"zslbench_{name}", "zslbench") for name in names))


@pytest.fixture
def known(_with_scripted: Registry) -> Iterator[Registry]:
    """The installed plugins and those of this folder; every run of a test sees these."""
    # For this test alone: other folders' tests may run in between, in the same process.
    with using_registry(_with_scripted):
        yield _with_scripted


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    return dict(SMALL)


Run = Callable[..., RunRecord]


@pytest.fixture
def run(known: Registry, tmp_path: Path) -> Run:
    """``zslbench.run`` of one seed on one thread in a store of the test's own; gives the record."""

    def one(
        method: str | None = None, *, dataset: str = "scripted", seed: int = 0, **options: Any
    ) -> RunRecord:
        options = {"store": tmp_path / "store", "device": "cpu", "threads": 1} | options
        return zslbench.run(method, dataset=dataset, seeds=[seed], **options).records[0]

    return one


Job = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def job() -> Iterator[Job]:
    """Sends one job to ``killed_process.py`` and gives its answer."""
    command = [sys.executable, str(Path(__file__).with_name("killed_process.py"))]
    environment = os.environ | {"ZSLBENCH_CHECKPOINT_SECONDS": "0", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def send(**job: Any) -> dict[str, Any]:
        process.stdin.write(json.dumps({"at": None} | job) + "\n")
        process.stdin.flush()
        return dict(json.loads(process.stdout.readline()))

    yield send
    process.kill()
    process.communicate()
