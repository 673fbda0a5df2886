"""Times of several ways of doing the same thing, taken in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.speed.machine import Machine


class OutOfTime(Exception):
    """There was no time left for what everything else is compared with."""


@dataclass(frozen=True)
class Timed:
    """What was measured of one way."""

    seconds: tuple[float, ...]
    """Of each call; none where there was no time for it."""
    peak: int | None
    """Most bytes that the first calls took on the GPU beyond what was held before; None on a CPU."""

    @property
    def median(self) -> float:
        if not self.seconds:
            raise OutOfTime
        return statistics.median(self.seconds)

    def spread(self) -> str:
        """Least and largest, as multiples of the median."""
        return f"{min(self.seconds) / self.median:.2f}-{max(self.seconds) / self.median:.2f}"


def interleaved(calls: Mapping[str, Callable[[], Any]], repeats: int, machine: Machine) -> dict[str, Timed]:
    """Seconds of each call, ``repeats`` times; who goes first changes from turn to turn.

    Each is called once before: memory is allocated, graphs are captured and pages are read by then. Past the
    machine's deadline no call is begun.
    """
    cuda = machine.device.type == "cuda"
    peaks: dict[str, int | None] = {}
    for name, call in calls.items():
        if machine.is_late:
            break
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() if cuda else 0
        call()
        machine.synchronise()
        peaks[name] = torch.cuda.max_memory_allocated() - before if cuda else None
    times: dict[str, list[float]] = {name: [] for name in calls}
    names = list(peaks)
    for turn in range(repeats):
        for name in _turned(names, turn):
            if machine.is_late:
                break
            machine.synchronise()
            started = time.perf_counter()
            calls[name]()
            machine.synchronise()
            times[name].append(time.perf_counter() - started)
    return {name: Timed(tuple(seconds), peaks.get(name)) for name, seconds in times.items()}


def _turned(names: list[str], turn: int) -> list[str]:
    first = turn % max(1, len(names))
    return names[first:] + names[:first]
