"""On a real SLURM of one node."""

from __future__ import annotations

import subprocess

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_slurm")]


def test_srun_answers() -> None:
    done = subprocess.run(["srun", "-n", "3", "echo", "here"], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["here"] * 3, done.stderr
