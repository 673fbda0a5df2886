"""What the benchmarks share: pages of results, paired measurements, sampled memory."""

from __future__ import annotations

import contextlib
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from zslbench.store import write_atomically

RESULTS = Path(__file__).parent / "results"


def write_page(path: Path, title: str, *blocks: str) -> None:
    """Write a Markdown page: a heading and blocks of text."""
    text = "\n\n".join([f"# {title}", *(block.strip("\n") for block in blocks)])
    write_atomically(path, f"{text}\n".encode())


def processor() -> str:
    """The name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


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
        """The median of the seconds; a TimeoutError if there are none."""
        if not self.seconds:
            raise TimeoutError
        return statistics.median(self.seconds)


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


def sampled(command: str, *options: str, limit: float = math.inf) -> tuple[float, dict[str, float]]:
    """Seconds of ``zslbench <command>``, and the peaks of its RssAnon and RssFile in GB.

    Raises:
        TimeoutError: it took more than ``limit`` seconds and was killed.
        SystemExit: it failed.
    """
    started = time.monotonic()
    words = [sys.executable, "-m", "zslbench", *command.split(), *options]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
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
            raise TimeoutError(command)
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"failed: zslbench {command}")
    return time.monotonic() - started, peaks
