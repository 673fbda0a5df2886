"""A toy data set so small that TF-VAEGAN runs on it in about a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zslbench
from zslbench.store.record import RunRecord

SMALL: dict[str, Any] = {
    "dataset.classes": 10,
    "dataset.unseen": 3,
    "dataset.images_per_class": 15,
    "dataset.attributes": 10,
    "dataset.channels": 12,
    "generator.hidden": 16,
    "generator.batch_size": 32,
    "generator.per_class": 10,
    "generator.critic_steps": 2,
    "classifier.epochs": 2,
}


@pytest.fixture
def small_run(tmp_path: Path) -> Callable[..., RunRecord]:
    """tf-vaegan on it, without selection; ``settings`` are added to the small ones."""

    def run(settings: dict[str, Any] | None = None, **options: Any) -> RunRecord:
        settings = SMALL | (settings or {})
        options = {"method": "tf-vaegan", "epochs": 2, "select": "last", "store": tmp_path} | options
        done = zslbench.run(**options, dataset="toy", settings=settings, device="cpu", threads=1)
        return done.records[0]

    return run
