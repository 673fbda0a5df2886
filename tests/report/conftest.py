"""Finished runs with figures of the test's choosing, written to a real store."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from zslbench.store.record import RunContent, RunInfo, RunRecord
from zslbench.store.store import Store

Record = Callable[..., RunRecord]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Write a run; figures are fractions, ``identity`` replaces entries by dotted names."""
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
    ) -> RunRecord:
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
