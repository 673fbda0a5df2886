"""The machine, its measured limits, and the sizes of what is measured on it."""

from __future__ import annotations

import math
import platform
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils.benchmark import Timer

from benchmarks.common import Timed, interleaved, processor
from zslbench.training.step import float32_products


@dataclass(frozen=True)
class Sizes:
    """Sizes of every part."""

    name: str
    note: str
    """What a reader should know about these sizes."""
    width: int
    """Channels of a region, and of g."""
    hidden: int
    attributes: int
    seen: int
    unseen: int
    images: int
    """Training images of stage 3."""
    regions: int
    stored: int
    """Images whose regions are stored."""
    batch: int
    iterations: int
    """Iterations of stage 3 in a timed call, in each of its two passes."""
    stage1_iterations: int
    repeats: int
    replicas: tuple[int, ...]
    scores: tuple[tuple[int, int], ...]
    """Test images and classes for the evaluator."""
    whole: str
    """Options of the run from start to end."""
    matmul: int
    """Rows and columns of the matrices that measure the rate of products."""
    copied: int
    """Floats that measure the rate of copies."""


SUN = Sizes(
    name="SUN",
    note="the sizes of SUN and of the authors' networks",
    width=2048, hidden=4096, attributes=102, seen=645, unseen=72, images=10_320,
    regions=196, stored=1024, batch=64, iterations=10, stage1_iterations=20, repeats=5,
    replicas=(1, 5, 10, 20), scores=((37_322, 50), (14_340, 717)),
    whole="--preset sun --select last",
    matmul=8192, copied=2**28,
)  # fmt: skip

CPU = replace(
    SUN,
    name="CPU",
    note="smaller than SUN, for a processor: features of 512 and hidden layers of 1024 units instead of 2048 "
    "and 4096, 2000 images, 49 regions",
    width=512, hidden=1024, images=2000, regions=49, stored=512,
    iterations=2, stage1_iterations=4, repeats=5, replicas=(1, 3),
    whole="--preset sun --select last --set dataset.scale=0.05 --set dataset.grid=7 "
    "--set dataset.channels=512 --set generator.hidden=512 --set generator.per_class=20 "
    "--set embedding.stage1.epochs=1 --set embedding.stage2.epochs=1 --epochs 2 --set classifier.epochs=5",
    matmul=1024, copied=2**24,
)  # fmt: skip

TINY = replace(
    CPU,
    name="TINY",
    note="meaningless: a test of the suite itself",
    width=16, hidden=24, attributes=6, seen=8, unseen=3, images=40, regions=9, stored=32,
    batch=8, iterations=1, stage1_iterations=1, repeats=1, replicas=(1, 2),
    scores=((200, 5), (100, 20)),
    whole="--select last --set dataset.scale=0.005 --set dataset.grid=2 --set dataset.channels=16 "
    "--set generator.hidden=8 --set generator.per_class=2 --epochs 1 --set embedding.stage1.epochs=1 "
    "--set embedding.stage2.epochs=1 --set classifier.epochs=1",
    matmul=64, copied=2**16,
)  # fmt: skip


@dataclass(frozen=True)
class Machine:
    """What is measured on, with its two limits."""

    device: torch.device
    copied: float
    """Bytes per second of a copy in the device's memory; reads and writes both count."""
    products: Mapping[str, float]
    """Floating-point operations per second of a matrix product (two per multiply-accumulate) in ``float32``
    and, on a GPU, with operands in ``tf32`` and ``bf16``."""
    deadline: float = math.inf
    """A time on the monotonic clock; no call is started after it."""

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() > self.deadline

    def interleaved(self, calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, Timed]:
        """:func:`benchmarks.common.interleaved` on this machine until its deadline."""
        return interleaved(calls, repeats, device=self.device, is_late=self.is_late)

    @property
    def hardware(self) -> str:
        """The name of the GPU or the processor."""
        return torch.cuda.get_device_name() if self.device.type == "cuda" else processor()

    def describe(self) -> dict[str, Any]:
        """The machine as plain data."""
        return {
            "hardware": self.hardware,
            "processor": processor(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "numpy": np.__version__,
            "copy, GB/s": self.copied / 1e9,
            **{f"{name} product, GFLOP/s": rate / 1e9 for name, rate in self.products.items()},
        }

    @property
    def slug(self) -> str:
        """Names the result files: ``speed_<hardware>_<torch version>``."""
        hardware = re.sub(r"\(R\)|\(TM\)|CPU|Processor|@", " ", self.hardware)
        return "speed_" + "_".join(re.findall(r"[A-Za-z0-9.+]+", f"{hardware} {torch.__version__}"))


def measured(device: torch.device, sizes: Sizes) -> Machine:
    """Measure the machine's limits: the best of several copies and products."""
    a = torch.randn(sizes.matmul, sizes.matmul, device=device)
    operations = 2 * sizes.matmul**3
    products = {"float32": operations / _best(lambda: a @ a)}
    if device.type == "cuda":
        with float32_products("tf32"):
            products["tf32"] = operations / _best(lambda: a @ a)
        half = a.bfloat16()
        products["bf16"] = operations / _best(lambda: half @ half)
    return Machine(device, copy_rate(device, sizes), products)


def copy_rate(device: torch.device, sizes: Sizes) -> float:
    """Bytes per second of a copy; reads and writes both count."""
    source = torch.ones(sizes.copied, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / _best(lambda: target.copy_(source))


def _best(call: Callable[[], Any]) -> float:
    """The least seconds of a call, of several; waits for the device."""
    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    return min(float(timer.timeit(1).median) for _ in range(6))
