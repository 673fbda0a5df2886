"""Fixtures that every test may use."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings
from jaxtyping import install_import_hook

sys.path.insert(0, str(Path(__file__).parent / "helpers"))  # for the helper modules of tests

# A loaded machine may take any time for an example.
settings.register_profile("zslbench", deadline=None)
settings.load_profile("zslbench")


def _modules_with_shapes() -> list[str]:
    """Our modules whose functions state shapes of arrays."""
    root = Path(__file__).resolve().parents[1]
    return [
        ".".join(path.relative_to(parent).with_suffix("").parts)
        for parent, folder in ((root, "zslbench"), (root / "plugins", "."))
        for path in sorted((parent / folder).rglob("*.py"))
        if "from jaxtyping import" in path.read_text("utf-8")
    ]


# Shapes of arrays, and the other types of functions that state them, are checked at every call in every test.
_hook = install_import_hook(_modules_with_shapes(), "beartype.beartype")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file that waits for a whole suite comes first: at the end the other processes would wait for it, and
    for two of them they would wait at once."""
    waiting = [item.path for item in items if "quick_store" in getattr(item, "fixturenames", ())]
    items.sort(key=lambda item: item.path not in waiting[:1])


def pytest_collection_finish() -> None:
    """What was imported and collected stays: the garbage collector need not visit it in every test."""
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Region stores that are made on the way go to a folder of the tests, not to the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZSLBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real splits and features (``ZSLBENCH_TEST_DATA``, or ``../shared/data``)."""
    given = os.environ.get("ZSLBENCH_TEST_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "xlsa17").is_dir():
        reason = f"real data not found at {folder}: set ZSLBENCH_TEST_DATA to the folder that holds xlsa17/"
        if os.environ.get("ZSLBENCH_REQUIRE_DATA"):  # as in CI, where a skip would hide that nothing ran
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def quick_store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The suite ``quick``, really run, once for all workers: the store and the outcome; read only."""
    import zslbench
    from zslbench.store.store import Store

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a folder of its own below the common one
        shared = shared.parent
    store = Store(shared / "quick-store")
    with FileLock(shared / "quick-store.lock"):  # who comes second finds all of it
        # As a user runs it, in a process of its own: under the checks of types it takes twice as long.
        command = ["bench", "quick", "--threads", "1", "--replicas", "3", "--store", str(store.root)]
        subprocess.run([sys.executable, "-m", "zslbench", *command], check=True, capture_output=True)
        outcome = zslbench.bench("quick", store=store.root, threads=1, replicas=3)
    return store, outcome


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Any]:
    """Write a run that was never computed, as :func:`zslbench.testing.fakes.fake_record` does."""
    from zslbench.store.store import Store
    from zslbench.testing.fakes import fake_record

    return partial(fake_record, Store(tmp_path / "store"))


def pytest_runtest_logstart() -> None:
    """Each test begins with a logger that caplog sees, whatever a command has set in this process."""
    logging.getLogger("zslbench").propagate = True
