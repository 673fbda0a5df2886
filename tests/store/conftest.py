"""Runs to store, and real processes to kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from processes import Start, started_processes
from records import DATA, IDENTITY

from zslbench.store.record import RunContent, RunInfo
from zslbench.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def make_run(store: Store) -> Callable[..., RunContent]:
    def make(run: str = "0123456789abcdef", **changes: Any) -> RunContent:
        info = RunInfo(
            id=run,
            method="eszsl",
            variant=None,
            dataset="toy",
            seed=int(changes.pop("seed", 3)),
            selection="val",
            identity=IDENTITY,
            folder=store.runs / run,
        )
        values: dict[str, Any] = {
            "metrics": {"H": 0.25, "acc": float("nan"), "epoch": 7, "rule": "val", "none": None},
            "environment": {"device": "cpu", "threads": 1},
            "data": DATA,
            "notes": ("first note", "zweite Notiz – ü"),
            "tables": {
                "epochs": pd.DataFrame({"epoch": np.arange(3), "loss": np.float32([0.5, np.nan, 0.125])}),
                "classes": pd.DataFrame({"name": ["cat", "dog"], "seen": [True, False]}),
            },
            "networks": {"final/critic/weight": torch.arange(6.0).reshape(2, 3)},
        }
        return RunContent(info=info, **(values | changes))

    return make


@pytest.fixture
def helper() -> Iterator[Start]:
    """Starts ``writer_process.py`` with arguments."""
    with started_processes(Path(__file__).with_name("writer_process.py")) as start:
        yield start
