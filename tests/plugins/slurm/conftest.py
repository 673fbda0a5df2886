"""A real SLURM for the tests that are marked slow, and for others commands that say what a test wants."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

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


class FakeSlurm:
    """SLURM's commands in a folder. Jobs are whatever :attr:`queue` says, by id; ``None``: squeue fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.command("srun", "exit 1")
        self.command(
            "sbatch", 'n=$(($(cat jobs) + 1)); echo $n >jobs; cp "$1" $n.sh; echo "Submitted batch job $n"'
        )
        self.command("scancel", 'echo "$@" >>cancelled; touch cancelled')
        (folder / "jobs").write_text("0\n")
        self.queue({})

    def command(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "$@" >{self.folder}/{name}.given\ncd {self.folder}\n{script}\n')
        path.chmod(0o755)

    def queue(self, jobs: dict[str, str] | None) -> None:
        """What squeue says: ``STATE``, ``STATE|REASON`` or ``STATE|REASON|NODE`` by job."""
        if jobs is None:
            self.command("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
            return
        lines = [f"{job}|{said}{'|' * (2 - said.count('|'))}" for job, said in jobs.items()]
        (self.folder / "queue").write_text("".join(f"{line}\n" for line in lines))
        self.command("squeue", "cat queue")

    def given(self, name: str) -> list[str]:
        """The arguments of a command's last call."""
        return (self.folder / f"{name}.given").read_text().split()

    @property
    def scripts(self) -> list[str]:
        """The scripts that were submitted, in order."""
        count = int((self.folder / "jobs").read_text())
        return [(self.folder / f"{number}.sh").read_text() for number in range(1, count + 1)]


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """Commands that come before all others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return FakeSlurm(folder)
