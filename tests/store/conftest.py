"""Runs to store, and real processes to kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from processes import Start, started_processes
from records import run_content

from zslbench.store.record import RunContent
from zslbench.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def make_run(store: Store) -> Callable[..., RunContent]:
    return partial(run_content, store)


@pytest.fixture
def helper() -> Iterator[Start]:
    """Starts ``writer_process.py`` with arguments."""
    with started_processes(Path(__file__).with_name("writer_process.py")) as start:
        yield start
