"""The least that a stored run must say about itself, and a run that says it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from zslbench.store.record import RunContent, RunInfo
from zslbench.store.store import Store

IDENTITY: dict[str, Any] = {
    "method": "eszsl",
    "variant": None,
    "components": {"classifier": "eszsl"},
    "settings": {"classifier": {"gamma": 1.5}},
    "selection": {"mode": "val"},
    "versions": {"zslbench": "1"},
    "seed": 3,
}
DATA: dict[str, Any] = {"features": "res101", "semantics": "att", "arrays": [], "split": "abc"}


def run_content(store: Store, run: str = "0123456789abcdef", **changes: Any) -> RunContent:
    """A finished run for a store, with tables, networks and a metric that is NaN."""
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
