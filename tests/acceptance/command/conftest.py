"""The command as a user has it: in this process through click, or as a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from zslbench.cli.main import cli

QUICK = (
    "--epochs=2", "--threads=1", "--set=generator.hidden=8", "--set=generator.per_class=4",
    "--set=generator.batch_size=256", "--set=generator.critic_steps=1", "--set=classifier.epochs=2",
    "--set=dataset.images_per_class=10",
)  # fmt: skip
"""Options that make TF-VAEGAN on toy a matter of tenths of a second."""


@dataclass(frozen=True)
class Command:
    """Runs ``zslbench`` on a store of the test's own."""

    store: Path
    options: tuple[str, ...] = QUICK

    def __call__(self, *arguments: str) -> Result:
        """Run in this process."""
        return CliRunner().invoke(cli, arguments, prog_name="zslbench")

    def quick(self, *arguments: str) -> Result:
        """Run TF-VAEGAN on toy with tiny settings."""
        return self("run", "tf-vaegan", "--dataset=toy", *self.options, *arguments)

    def eszsl(self, *arguments: str) -> Result:
        """Run ESZSL on toy, without a search: hundredths of a second."""
        return self("run", "eszsl", "--dataset=toy", "--threads=1", "--select=last", *arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a process of its own, with pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "zslbench", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )


def _command(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    monkeypatch.setenv("ZSLBENCH_STORE", str(store))
    monkeypatch.setenv("ZSLBENCH_DATA", str(store.parent / "no-data"))
    monkeypatch.delenv("ZSLBENCH_STRICT_PLUGINS", raising=False)
    logger = logging.getLogger("zslbench")
    handlers, propagate = list(logger.handlers), logger.propagate
    yield Command(store)
    logger.handlers, logger.propagate = handlers, propagate


@pytest.fixture
def zslbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """The command with an empty store."""
    yield from _command(tmp_path / "store", monkeypatch)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """The command with a store of a module's own, for tests that only look at what it holds."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield from _command(tmp_path_factory.mktemp("filled") / "store", monkeypatch)


@pytest.fixture(scope="session")
def one_line() -> Callable[[Any], str]:
    """Asserts that a command failed with one line on standard error, and gives the line."""

    def check(result: Any) -> str:
        assert result.exit_code not in (0, None), result.output
        assert result.stdout == ""
        errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, result.stderr
        assert result.stderr.splitlines()[-1] == errors[0]
        assert "Traceback" not in result.stderr
        assert "fault of zslbench" not in result.stderr
        return str(errors[0].removeprefix("Error: "))

    return check
