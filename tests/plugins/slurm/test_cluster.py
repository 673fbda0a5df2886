"""What SLURM's commands say of jobs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from zslbench.errors import ZslbenchError
from zslbench_slurm.cluster import JobState, NoAnswer, cancel_jobs, job_states


def test_states_of_jobs_and_of_tasks(fake_slurm: Any) -> None:
    fake_slurm.queue(
        {
            "7": "RUNNING|None|n1",
            "12_0": "PENDING|Resources",
            "12_1": "COMPLETED|None|n2",
            "12_2": "OUT_OF_MEMORY|OutOfMemory|n2",
            "12_3": "COMPLETING|None|n2",
        }
    )
    found = job_states()
    assert found is not None
    assert {job: one.is_live for job, one in found.items()} == {
        "7": True, "12_0": True, "12_1": False, "12_2": False, "12_3": True
    }  # fmt: skip
    assert found["7"] == JobState("RUNNING", "", "n1")
    assert "Resources" in str(found["12_0"]) and "n1" in str(found["7"])
    assert {f"--user={os.getuid()}", "--array", "--states=all"} <= set(fake_slurm.given("squeue"))


def test_no_jobs(fake_slurm: Any) -> None:
    assert job_states() == {}


def test_slurm_does_not_answer(fake_slurm: Any) -> None:
    fake_slurm.queue(None)
    with pytest.raises(NoAnswer, match="Unable to contact slurm controller"):
        job_states()
    fake_slurm.command("squeue", "exit 1")
    with pytest.raises(NoAnswer, match="no answer"):
        job_states()


def test_a_machine_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ZslbenchError, match="squeue"):
        job_states()


def test_an_array_is_cancelled_as_a_whole(fake_slurm: Any) -> None:
    cancel_jobs(["12_0", "12_1", "7"])
    assert fake_slurm.given("scancel") == ["12", "7"]
    fake_slurm.command("scancel", "exit 1")
    with pytest.raises(ZslbenchError, match="scancel 12"):
        cancel_jobs(["12_0"])
