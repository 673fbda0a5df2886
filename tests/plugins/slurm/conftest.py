"""A real SLURM for the tests that are marked slow."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from slurm import cluster, why_not


@pytest.fixture(scope="session")
def real_slurm() -> Iterator[None]:
    """SLURM's commands answer; skips where none can start, but fails with ``ZSLBENCH_REQUIRE_SLURM``."""
    if reason := why_not():
        if os.environ.get("ZSLBENCH_REQUIRE_SLURM"):  # as in CI, where a skip would hide that nothing ran
            pytest.fail(reason)
        pytest.skip(reason)
    with cluster() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield
