"""Tiny searches on the toy data set, for tests and for the processes that they start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from zslbench.errors import ZslbenchError

TOY: dict[str, Any] = {
    "dataset.classes": 10,
    "dataset.unseen": 3,
    "dataset.images_per_class": 10,
    "dataset.attributes": 10,
    "dataset.channels": 12,
}
TRAINED: dict[str, Any] = TOY | {
    "dataset.images_per_class": 15,  # so that three epochs learn something
    "dataset.visibility": 1.0,
    "dataset.clutter": 0.2,
    "dataset.noise": 0.3,
    "generator.hidden": 32,
    "generator.batch_size": 32,
    "generator.per_class": 20,
    "generator.critic_steps": 1,
    "generator.lambda_w": 0.1,
    "classifier.epochs": 4,
    "classifier.batch_size": 30,
    "classifier.lr": 0.02,
}
RATES = {"generator.lr": "1e-3:1e-1:log"}
RIDGES = {"classifier.gamma": "1e-3:1e3:log", "classifier.lam": "1e-3:1e3:log"}


def content(found: Any) -> list[tuple[Any, ...]]:
    """Settings and results of the trials of a search, in order, without numbers and times."""
    return [
        (one.state, dict(one.settings), one.value, one.epochs, dict(one.seeds), one.splits)
        for one in found.trials
    ]


def gpu_noted(folder: Path, display: Any) -> Any:
    """In place of ``resolve_search``: writes which GPUs its process sees, and ends it."""
    (folder / str(os.getpid())).write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    raise ZslbenchError("noted")
