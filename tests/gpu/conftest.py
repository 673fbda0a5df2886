"""What a GPU alone can show. Everything here skips where torch sees none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "training" / "recorders"))  # for ``small_stages``

# cuBLAS reads it when its first handle is made.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(autouse=True)
def gpu() -> Iterator[torch.device]:
    """The GPU, computing as a run does."""
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU here")
    from zslbench.experiment.job import ExecutionMode, applied

    with applied(ExecutionMode("cuda", threads=0)) as device:
        yield device
