"""Fixtures that every test may use."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from jaxtyping import install_import_hook

# Shapes and types of our own functions are checked at every call in every test.
_hook = install_import_hook(
    [
        "zslbench",
        "zslbench_audit",
        "zslbench_common",
        "zslbench_data",
        "zslbench_datasets",
        "zslbench_eszsl",
        "zslbench_extractors",
        "zslbench_report",
        "zslbench_sc_egg",
        "zslbench_tf_vaegan",
        "zslbench_trackers",
        "zslbench_tune",
    ],
    "beartype.beartype",
)


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
        command = ["bench", "quick", "--threads", "1", "--store", str(store.root)]
        subprocess.run([sys.executable, "-m", "zslbench", *command], check=True, capture_output=True)
        outcome = zslbench.bench("quick", store=store.root, threads=1)
    return store, outcome


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Any]:
    """Write a run; figures are fractions, ``identity`` replaces entries by dotted names."""
    import pandas as pd

    from zslbench.store.record import RunContent, RunInfo
    from zslbench.store.store import Store

    store = Store(tmp_path / "store")

    def make(
        method: str = "m",
        dataset: str = "cub",
        seed: int = 0,
        selection: str = "val",
        variant: str | None = None,
        features: str = "res101",
        semantics: str = "att",
        identity: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        environment: Mapping[str, Any] | None = None,
        reading: str | None = None,
        **figures: float | None,
    ) -> Any:
        content: dict[str, Any] = {
            "method": method,
            "variant": variant,
            "components": {"dataset": dataset, "classifier": "softmax"},
            "settings": {"dataset": {}, "classifier": {"lr": 0.1, "epochs": 3}},
            "data": {"features": features, "semantics": semantics, "arrays": {"features": "a" * 64}},
            "seed": seed,
            "selection": {"mode": selection, "every": 1},
            "versions": {"zslbench": "1", "plugin common": "1 abc"},
            "execution": {"device": "cpu", "threads": 1},
        }
        if reading is not None:
            content["reading"] = reading
        for name, value in (identity or {}).items():
            *path, last = name.split("/")
            place = content
            for part in path:
                place = place[part]
            place[last] = value
        run = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        info = RunInfo(
            run,
            method,
            variant,
            dataset,
            seed,
            selection,
            copy.deepcopy(content),
            store.runs / run,
            reading=reading,
        )
        described = {"seconds": 1.5, "group": "generative", "chosen": {}, "preset": None}
        given = {"acc": 0.5, "u": 0.2, "s": 0.3, "h": 0.24, "ausuc": 0.1} | figures | dict(metrics or {})
        array = {"array": "features", "file": f"{features}.mat", "sha256": "a" * 64}
        return store.write(
            RunContent(
                info=info,
                metrics=given,
                environment=described | dict(environment or {}),
                data={"features": features, "semantics": semantics, "arrays": [array]},
                notes=["a note"],
                tables={"epochs": pd.DataFrame({"epoch": [1]})},
            )
        )

    return make
