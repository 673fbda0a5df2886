"""Times of several ways in turns, the work that each has to do at least, and the tables of both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.machine import Machine
from zslbench.report import render


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
        first = turn % max(1, len(names))
        for name in names[first:] + names[:first]:
            if machine.is_late:
                break
            machine.synchronise()
            started = time.perf_counter()
            calls[name]()
            machine.synchronise()
            times[name].append(time.perf_counter() - started)
    return {name: Timed(tuple(seconds), peaks.get(name)) for name, seconds in times.items()}


@dataclass(frozen=True)
class Work:
    """Of one unit (a sub-step, an image ...)."""

    flops: float
    least_bytes: float
    """Read or written even if every intermediate result stayed in a cache."""
    executed_bytes: float | None
    """Operands and results of every operation as it is executed, one by one; None: not counted."""

    def limit(self, machine: Machine) -> float:
        """Seconds that the machine needs at least: for the operations or for the least bytes."""
        return max(self.flops / machine.multiplied, self.least_bytes / machine.copied)

    def __add__(self, other: Work) -> Work:
        both = self.executed_bytes is not None and other.executed_bytes is not None
        executed = self.executed_bytes + other.executed_bytes if both else None  # type: ignore[operator]
        return Work(self.flops + other.flops, self.least_bytes + other.least_bytes, executed)

    def __truediv__(self, count: float) -> Work:
        executed = None if self.executed_bytes is None else self.executed_bytes / count
        return Work(self.flops / count, self.least_bytes / count, executed)


class _Bytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up operands and results, and notes which of the known tensors are read."""

    def __init__(self, known: Iterable[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0
        self.known = {tensor.untyped_storage().data_ptr(): tensor.nbytes for tensor in known}
        self.touched: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        operands, results = _tensors((args, kwargs or {})), _tensors(result)
        for one in operands:
            self.touched.add(one.untyped_storage().data_ptr())
        if not func.is_view:
            self.total += sum(one.nbytes for one in (*operands, *results))
        return result

    @property
    def read(self) -> int:
        """Bytes of the known tensors that were operands."""
        return sum(self.known[one] for one in self.touched & self.known.keys())


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [one for part in tree for one in _tensors(part)] if isinstance(tree, list | tuple) else []


def counted(call: Callable[[], Any], inputs: Iterable[Tensor], written: float = 0.0) -> Work:
    """The work of a call.

    Args:
        inputs: tensors that are there before it: parameters, data. Those that it touches are read at least
            once.
        written: bytes that must be written and, for running state, read as well.
    """
    with FlopCounterMode(display=False) as flops:
        call()
    known = list(inputs)
    with _Bytes(known) as bytes_:
        call()
    return Work(flops.get_total_flops(), bytes_.read + written, bytes_.total)


NO_GPU = "not measured: no GPU"
OUT_OF_TIME = "not measured: out of time"


@dataclass
class Part:
    """A table of results."""

    name: str
    title: str
    about: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    """What was found equal before anything was timed."""
    seconds: float = 0.0
    failed: bool = False

    def markdown(self) -> list[str]:
        """Its section of the page."""
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        shown = [{key: _shown(row.get(key)) for key in columns} for row in self.rows]
        table = render(shown, "markdown", decimals=2) if shown else ""
        lines = [f"## {self.title}", "", *(text for one in (self.about, table) if one for text in (one, ""))]
        if self.checks:
            lines += ["Checked first: " + "; ".join(self.checks) + ".", ""]
        return lines


def rates(
    times: Mapping[str, Timed],
    units: float | Mapping[str, float],
    unit: str,
    base: str,
    work: Work | Mapping[str, Work | None] | None,
    machine: Machine,
    coarse: Mapping[str, str] = MappingProxyType({}),
    on_gpu: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """A row for each way: units per second, ratio to ``base``, and how near to the machine's limit.

    Args:
        units: how many units a call does, the same for all ways or of each.
        work: of one unit, at least; None: not counted.
        machine: whose limits count; for ways that multiply less exactly its rate at that (``coarse``).
        on_gpu: ways that only a GPU has; without one they get a row that says so.

    Raises:
        OutOfTime: there was no time for ``base``.
    """
    counts = units if isinstance(units, Mapping) else dict.fromkeys(times, units)
    works = work if isinstance(work, Mapping) else dict.fromkeys(times, work)
    rows: list[dict[str, Any]] = []
    first = counts[base] / times[base].median
    for name, timed in times.items():
        if not timed.seconds:
            rows.append({"way": name, f"{unit}/s": OUT_OF_TIME})
            continue
        rate = counts[name] / timed.median
        one, limits = works.get(name), machine.at(coarse.get(name))
        rows.append(
            {
                "way": name,
                f"{unit}/s": rate,
                "ratio": rate / first,
                "spread": timed.spread(),
                "GFLOP": None if one is None else one.flops / 1e9,
                "MB, at least": None if one is None else one.least_bytes / 1e6,
                "MB, as executed": one.executed_bytes / 1e6 if one and one.executed_bytes else None,
                "limit, ms": None if one is None else 1e3 * one.limit(limits),
                "of the limit": None if one is None else one.limit(limits) * rate,
                "peak GPU memory, GB": None if timed.peak is None else timed.peak / 1e9,
            }
        )
    return rows + [{"way": name, f"{unit}/s": NO_GPU} for name in on_gpu if machine.device.type != "cuda"]


def _shown(value: Any) -> Any:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return value
