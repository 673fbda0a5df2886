"""SC-EGG on data so small that a whole run takes about a second, and its equations by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent / "reference"))  # the tests name it by ``import sc_egg_by_hand``


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)
