"""The minimum of work that a call does, and the tables of rates and limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import Timed
from benchmarks.speed.machine import Machine
from zslbench.report import render

NO_GPU = "not measured: no GPU"
OUT_OF_TIME = "not measured: out of time"


@dataclass(frozen=True)
class Work:
    """The work of one unit: a sub-step, an image, ..."""

    flops: float
    least_bytes: float
    """Read or written even if every intermediate result stayed in a cache."""

    def limit(self, machine: Machine, precision: str = "float32") -> float:
        """The least seconds on a machine: for the operations, or for the bytes."""
        return max(self.flops / machine.products[precision], self.least_bytes / machine.copied)

    def __add__(self, other: Work) -> Work:
        return Work(self.flops + other.flops, self.least_bytes + other.least_bytes)

    def __truediv__(self, count: float) -> Work:
        return Work(self.flops / count, self.least_bytes / count)


class _Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the storage of every operand."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pointers: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        operands = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        self.pointers.update(one.untyped_storage().data_ptr() for one in operands)
        return func(*args, **(kwargs or {}))


def counted(call: Callable[[], Any], inputs: Iterable[Tensor], written: float = 0.0) -> Work:
    """The work of a call.

    Args:
        inputs: tensors that exist before it: parameters, data. Those that it uses are read at least once.
        written: bytes that must be written and, for running state, read as well.
    """
    with FlopCounterMode(display=False) as flops:
        call()
    known = {tensor.untyped_storage().data_ptr(): tensor.nbytes for tensor in inputs}
    with _Reads() as reads:
        call()
    return Work(flops.get_total_flops(), sum(known[one] for one in reads.pointers & known.keys()) + written)


@dataclass
class Part:
    """A table of results."""

    name: str
    title: str
    about: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    """What was verified before anything was timed."""
    seconds: float = 0.0
    failed: bool = False

    def blocks(self) -> list[str]:
        """Its section of the page."""
        columns = dict.fromkeys(key for row in self.rows for key in row)
        shown = [{key: _shown(row.get(key)) for key in columns} for row in self.rows]
        table = [render(shown, "markdown", decimals=2)] if shown else []
        checks = [f"Verified first: {'; '.join(self.checks)}."] if self.checks else []
        return [f"## {self.title}", self.about, *table, *checks]


@dataclass(frozen=True)
class Way:
    """One way to do the work of a part."""

    call: Callable[[], Any]
    units: float
    """Units per call: sub-steps, images, ..."""
    work: Work
    """The least work of one unit."""
    precision: str = "float32"
    """The precision of its matrix products, for the machine's limit."""


def rates(
    ways: Mapping[str, Way],
    times: Mapping[str, Timed],
    unit: str,
    machine: Machine,
    on_gpu: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """A row for each way: units per second, ratio to the first, and how close to the machine's limit.

    Args:
        on_gpu: ways that only a GPU has; without one their rows say so.

    Raises:
        TimeoutError: there was no time for the first.
    """
    rows: list[dict[str, Any]] = []
    first = next(iter(ways))
    base = ways[first].units / times[first].median
    for name, way in ways.items():
        timed = times[name]
        row: dict[str, Any] = {"way": name, f"{unit}/s": OUT_OF_TIME}
        if timed.seconds:
            rate, limit = way.units / timed.median, way.work.limit(machine, way.precision)
            spread = "-".join(f"{most(timed.seconds) / timed.median:.2f}" for most in (min, max))
            row |= {f"{unit}/s": rate, "ratio": rate / base, "spread": spread}
            row |= {"GFLOP": way.work.flops / 1e9, "MB, at least": way.work.least_bytes / 1e6}
            row |= {"limit, ms": 1e3 * limit, "of the limit": limit * rate}
            row["peak GPU memory, GB"] = None if timed.peak is None else timed.peak / 1e9
        rows.append(row)
    return rows + [{"way": name, f"{unit}/s": NO_GPU} for name in on_gpu if machine.device.type != "cuda"]


def _shown(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "-" if value is None else value
