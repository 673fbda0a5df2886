"""A toy data set so small that TF-VAEGAN runs on it in about a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small import TF_VAEGAN

import zslbench
from zslbench.store.record import RunRecord


@pytest.fixture
def small_run(tmp_path: Path) -> Callable[..., RunRecord]:
    """tf-vaegan on it, without selection; ``settings`` are added to the small ones."""

    def run(settings: dict[str, Any] | None = None, **options: Any) -> RunRecord:
        settings = TF_VAEGAN | (settings or {})
        options = {"method": "tf-vaegan", "epochs": 2, "select": "last", "store": tmp_path} | options
        done = zslbench.run(**options, dataset="toy", settings=settings, device="cpu", threads=1)
        return done.records[0]

    return run
