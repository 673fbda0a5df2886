"""What the benchmarks share: where results lie, commands of zslbench, and a line about the machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def write_page(name: str, lines: Sequence[str]) -> None:
    """Write ``benchmarks/results/<name>.md``."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text("\n".join(lines), "utf-8")


def output(command: str, options: Sequence[str], fmt: str = "json") -> str:
    """Run ``zslbench <command>`` and return what it writes.

    Raises:
        SystemExit: it failed; what it said has been passed on.
    """
    sys.stderr.write(f"zslbench {command}\n")
    done = subprocess.run(
        [sys.executable, "-m", "zslbench", *command.split(), *options, "--format", fmt],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise SystemExit(f"failed: zslbench {command}")
    return done.stdout


def run_options(arguments: Any, threads: str = "1") -> list[str]:
    """Device, threads and folders for a command."""
    options = ["--device", "cpu", "--threads", threads]
    options += ["--data-root", arguments.data_root] if arguments.data_root else []
    return options + (["--store", arguments.store] if arguments.store else [])


def hardware(environment: dict[str, Any], threads: str) -> str:
    """The machine and versions that a run was computed with."""
    versions = f"torch {environment['packages']['torch']}, zslbench {environment['zslbench']}"
    return (
        f"Hardware: {environment['device']}, {environment['cpu_count']} cores, {threads}, no GPU. "
        f"Python {environment['python']}, {versions}."
    )


def processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"
