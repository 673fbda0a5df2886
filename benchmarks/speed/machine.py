"""The machine: what it is called, and how fast it copies and multiplies, measured."""

from __future__ import annotations

import math
import platform
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed.sizes import Sizes
from zslbench.training.precision import float32_products


@dataclass(frozen=True)
class Machine:
    """What is measured on, and its two limits."""

    device: torch.device
    copied: float
    """Bytes per second of a copy within the device's memory, read and written counted."""
    multiplied: float
    """Floating-point operations per second of a float32 matrix product (two per multiply-accumulate)."""
    coarse: Mapping[str, float] = field(default_factory=dict)
    """The same with operands in ``tf32`` and ``bf16``, on a GPU."""
    deadline: float = math.inf
    """On the monotonic clock; nothing more is begun after it."""

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() > self.deadline

    def at(self, precision: str | None) -> Machine:
        """The machine with its rate of products in a coarser precision."""
        return self if precision is None else replace(self, multiplied=self.coarse[precision])

    @property
    def hardware(self) -> str:
        """The GPU's or the processor's name."""
        return torch.cuda.get_device_name() if self.device.type == "cuda" else processor()

    def describe(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "hardware": self.hardware,
            "processor": processor(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "numpy": np.__version__,
            "copy, GB/s": self.copied / 1e9,
            "float32 product, GFLOP/s": self.multiplied / 1e9,
            **{f"{name} product, GFLOP/s": rate / 1e9 for name, rate in self.coarse.items()},
        }

    @property
    def slug(self) -> str:
        """Names the files of results: ``speed_<hardware>_<torch version>``."""
        plain = re.sub(r"\(R\)|\(TM\)|CPU|Processor|@", " ", self.hardware)
        parts = re.findall(r"[A-Za-z0-9.+]+", f"{plain} {torch.__version__}")
        return "speed_" + "_".join(parts)

    def synchronise(self) -> None:
        """Wait until the device has done what was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measured(device: torch.device, sizes: Sizes) -> Machine:
    """Measure the machine's limits: the best of several copies and products."""
    machine = Machine(device, 1.0, 1.0)
    copied = copy_rate(device, sizes)
    a = torch.randn(sizes.matmul, sizes.matmul, device=device)
    operations = 2 * sizes.matmul**3
    multiplied = operations / _best(lambda: a @ a, machine)
    coarse: dict[str, float] = {}
    if device.type == "cuda":
        with float32_products("tf32"):
            coarse["tf32"] = operations / _best(lambda: a @ a, machine)
        half = a.bfloat16()
        coarse["bf16"] = operations / _best(lambda: half @ half, machine)
    return Machine(device, copied, multiplied, coarse)


def copy_rate(device: torch.device, sizes: Sizes) -> float:
    """Bytes per second of a copy, read and written counted."""
    source = torch.ones(sizes.copied, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * sizes.copied / _best(lambda: target.copy_(source), Machine(device, 1.0, 1.0))


def _best(call: Callable[[], Any], machine: Machine) -> float:
    times = []
    for _ in range(6):
        machine.synchronise()
        started = time.perf_counter()
        call()
        machine.synchronise()
        times.append(time.perf_counter() - started)
    return min(times)


def processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"
