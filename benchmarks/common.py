"""What the benchmarks share: pages of results, commands of zslbench, paired measurements."""

from __future__ import annotations

import contextlib
import json
import math
import statistics
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from zslbench.report import render
from zslbench.store import Store

RESULTS = Path(__file__).parent / "results"


def write_page(name: str, title: str, *blocks: str) -> None:
    """Write ``benchmarks/results/<name>.md``: a heading and blocks of text."""
    RESULTS.mkdir(exist_ok=True)
    text = "\n\n".join([f"# {title}", *(block.strip("\n") for block in blocks)])
    (RESULTS / f"{name}.md").write_text(f"{text}\n", "utf-8")


def processor() -> str:
    """The name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


# --- Commands -----------------------------------------------------------------------------------------------


def run_parser(doc: str, data: str) -> ArgumentParser:
    """Options of a benchmark that runs methods on real data."""
    parser = ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--data-root", help=f"folder with {data}; default: ZSLBENCH_DATA")
    parser.add_argument("--store", help="run store; default: ZSLBENCH_STORE")
    return parser


def output(command: str, arguments: Namespace, fmt: str = "json", threads: str = "1") -> str:
    """Run ``zslbench <command>`` on the CPU and return its output.

    Raises:
        SystemExit: it failed; its error messages are passed on.
    """
    sys.stderr.write(f"zslbench {command}\n")
    options = ["--device", "cpu", "--threads", threads, "--format", fmt]
    options += ["--data-root", arguments.data_root] if arguments.data_root else []
    options += ["--store", arguments.store] if arguments.store else []
    done = subprocess.run(
        [sys.executable, "-m", "zslbench", *command.split(), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise SystemExit(f"failed: zslbench {command}")
    return done.stdout


def run(command: str, arguments: Namespace, threads: str = "1") -> list[dict[str, Any]]:
    """The runs of a command, one row per seed."""
    rows: list[dict[str, Any]] = json.loads(output(command, arguments, threads=threads))
    return rows


def environment(arguments: Namespace, row: Mapping[str, Any]) -> dict[str, Any]:
    """The recorded environment of a run."""
    found: dict[str, Any] = Store.default(arguments.store).resolve(row["run"]).environment
    return found


def hardware(environment: Mapping[str, Any], threads: str) -> str:
    """The machine and the versions of a run."""
    versions = f"torch {environment['packages']['torch']}, zslbench {environment['zslbench']}"
    return (
        f"Hardware: {environment['device']}, {environment['cpu_count']} cores, {threads}, no GPU. "
        f"Python {environment['python']}, {versions}."
    )


def numbered_table(rows: Sequence[Mapping[str, Any]], commands: Sequence[str], decimals: int = 1) -> str:
    """A Markdown table with numbered rows, and the command of each row."""
    numbered = [{"row": number, **row} for number, row in enumerate(rows, 1)]
    listed = [f"{number}. `zslbench {command}`" for number, command in enumerate(commands, 1)]
    return "\n".join([render(numbered, "markdown", decimals=decimals), "", *listed])


# --- Measurements -------------------------------------------------------------------------------------------


class OutOfTime(Exception):
    """There was no time for the base of a comparison."""


@dataclass
class Timed:
    """Measurements of one call."""

    seconds: list[float] = field(default_factory=list)
    """One per turn; empty if there was no time."""
    processor_seconds: list[float] = field(default_factory=list)
    """The same in processor time of the calling thread."""
    peak: int | None = None
    """Bytes that the first call allocated on the GPU, at most; None on a CPU."""

    @property
    def median(self) -> float:
        """Of the seconds."""
        if not self.seconds:
            raise OutOfTime
        return statistics.median(self.seconds)

    def spread(self) -> str:
        """Minimum and maximum, as multiples of the median."""
        return f"{min(self.seconds) / self.median:.2f}-{max(self.seconds) / self.median:.2f}"


def interleaved(
    calls: Mapping[str, Callable[[], Any]],
    repeats: int,
    *,
    device: torch.device | None = None,
    is_late: Callable[[], bool] = lambda: False,
    prepare: Callable[[], Any] = lambda: None,
) -> dict[str, Timed]:
    """Time the calls in turns, so that other work on the machine affects all of them.

    Each call runs once before: by then memory is allocated, graphs are captured and pages are read. The call
    that goes first changes from turn to turn.

    Args:
        is_late: once true, no call is started.
        prepare: called before the first calls and before each turn.
    """
    cuda = device is not None and device.type == "cuda"
    synchronise = torch.cuda.synchronize if cuda else lambda: None
    times = {name: Timed() for name in calls}
    names = []
    prepare()
    for name, call in calls.items():
        if is_late():
            break
        before = torch.cuda.memory_allocated() if cuda else 0
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        call()
        synchronise()
        times[name].peak = torch.cuda.max_memory_allocated() - before if cuda else None
        names.append(name)
    for turn in range(repeats):
        prepare()
        first = turn % max(1, len(names))
        for name in names[first:] + names[:first]:
            if is_late():
                break
            synchronise()
            started = time.perf_counter(), time.thread_time()
            calls[name]()
            synchronise()
            times[name].seconds.append(time.perf_counter() - started[0])
            times[name].processor_seconds.append(time.thread_time() - started[1])
    return times


def sampled(command: Sequence[str], limit: float = math.inf) -> tuple[float, dict[str, float]]:
    """Seconds of a command, and the peaks of its RssAnon and RssFile in GB.

    Raises:
        TimeoutError: it took more than ``limit`` seconds and was killed.
        SystemExit: it failed.
    """
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peaks = {"RssAnon": 0.0, "RssFile": 0.0}
    while process.poll() is None:
        with contextlib.suppress(OSError):  # it has just ended
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in peaks:
                    peaks[name] = max(peaks[name], int(value.split()[0]) * 1024 / 1e9)
        if time.monotonic() - started > limit:
            process.kill()
            process.wait()
            raise TimeoutError(" ".join(command))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
    return time.monotonic() - started, peaks
