"""One part of the results: a table, what was measured, and what should be known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from benchmarks.speed.machine import Machine
from benchmarks.speed.timing import Timed
from benchmarks.speed.work import Work
from zslbench.report import render

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

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

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
    units: Mapping[str, float],
    unit: str,
    base: str,
    work: Mapping[str, Work | None],
    machine: Machine,
    coarse: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """A row for each way: units per second, ratio to ``base``, and how near to the machine's limit.

    Args:
        units: how many units a call of each way does.
        work: of one unit, as each way has to do it at least; None: not counted.
        machine: whose limits count; for ways that multiply less exactly its rate at that (``coarse``).

    Raises:
        OutOfTime: there was no time for ``base``.
    """
    rows = []
    first = units[base] / times[base].median
    for name, timed in times.items():
        if not timed.seconds:
            rows.append(missing(name, unit, OUT_OF_TIME))
            continue
        rate = units[name] / timed.median
        one, limits = work.get(name), machine.at(coarse.get(name))
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
    return rows


def missing(way: str, unit: str, why: str = NO_GPU) -> dict[str, Any]:
    """The row of a way that cannot be measured here."""
    return {"way": way, f"{unit}/s": why}


def _shown(value: Any) -> Any:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return value
