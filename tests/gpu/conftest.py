"""Tests that need a GPU; all are skipped without one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "training" / "recorders"))  # for ``small_stages``

# cuBLAS reads this when it makes its first handle.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(autouse=True)
def gpu() -> Iterator[torch.device]:
    """The GPU, in the execution mode of a run."""
    if not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")
    from zslbench.experiment.job import ExecutionMode, applied

    with applied(ExecutionMode("cuda", threads=0)) as device:
        yield device
