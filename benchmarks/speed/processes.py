"""Whole processes: SC-EGG from start to end with its memory, and the start-up of commands."""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.common import interleaved, sampled
from benchmarks.speed.machine import Machine, Sizes
from benchmarks.speed.measuring import OUT_OF_TIME, Part
from zslbench.data import RegionStore, RegionWriter
from zslbench.store import Store


def whole(machine: Machine, sizes: Sizes) -> Part:
    """``zslbench run sc-egg`` in its own process, on data that a run of eszsl generated before."""
    device = machine.device.type
    options = f"{sizes.whole} --device {device}{' --threads 1' if device == 'cpu' else ''}"
    command = f"run sc-egg --dataset sim-sun --reading authors {options}"
    part = Part(
        "whole",
        "SC-EGG on `sim-sun` from start to end, and its memory",
        f"`zslbench {command}`. A run of eszsl generates the data before. `stages` are the seconds of "
        "stages 1 and 2 with g of all images; the rest is stage 3, the classifiers and reading the data.",
    )
    data = " ".join(re.findall(r"--set dataset\.\S+", options))
    with TemporaryDirectory() as store:
        try:
            _run(f"run eszsl --dataset sim-sun --select last --device {device} {data}", store, machine)
            seconds, peaks = _run(command, store, machine)
        except TimeoutError:
            part.rows.append({"run": "SC-EGG", "seconds, with start-up": OUT_OF_TIME})
            return part
        (record,) = (one for one in Store(Path(store)).records() if one.info.method == "sc-egg")
        found = record.environment
        part.rows.append(
            {
                "run": "SC-EGG",
                "seconds, with start-up": seconds,
                "seconds of the run": found["seconds"],
                "stages": sum(stage["seconds"] for stage in found["stages"] if not stage["reused"]),
                "peak RssAnon, GB": peaks["RssAnon"],
                "peak GPU memory, GB": found.get("gpu_memory_peak", 0) / 1e9 or None,
                "execution": json.dumps(found["execution"]),
            }
        )
    return part


def _run(command: str, store: str, machine: Machine) -> tuple[float, dict[str, float]]:
    left = machine.deadline - time.monotonic()
    words = [*command.split(), "--store", store, "--format", "json"]
    return sampled([sys.executable, "-m", "zslbench", *words], None if math.isinf(left) else left)


COMMANDS = (("--help", 0.3), ("methods", 0.6))
"""Arguments, and the seconds that they may take."""
GIGABYTES = 23


def startup(machine: Machine, sizes: Sizes) -> Part:
    """Processor time, user and system, of a new process."""
    part = Part("startup", "Start-up", "Processor time (user and system) of a new process; medians.")
    for argument, most in COMMANDS:
        times = [processor_seconds([sys.executable, "-m", "zslbench", argument]) for _ in range(5)]
        row = {"what": f"zslbench {argument}", "ms": 1e3 * statistics.median(times), "limit, ms": 1e3 * most}
        part.rows.append(row)
    with TemporaryDirectory() as folder:
        store = sparse_store(Path(folder) / "large", 4 if sizes.name == "TINY" else GIGABYTES)
        opening = interleaved({"open": lambda: RegionStore.open(store)}, 21)["open"]
    what = f"open a region store of {GIGABYTES} GB (sparse file)"
    part.rows.append({"what": what, "ms": 1e3 * opening.median, "limit, ms": 50.0})
    return part


def processor_seconds(command: list[str]) -> float:
    """User and system time of a command.

    Raises:
        SystemExit: it failed.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return used.ru_utime + used.ru_stime


def sparse_store(folder: Path, gigabytes: int) -> Path:
    """A region store whose array has this size: a small store, with its array and description enlarged.

    The digests stay those of the small store, since opening does not read the array.
    """
    regions, channels = 196, 2048
    images = gigabytes * 10**9 // (regions * channels * 2)
    labels = np.arange(images) % 7
    with RegionWriter(folder, (images, 1, 1), "float16") as writer:
        for start in range(0, images, 4096):
            part = labels[start : start + 4096]
            writer.append(np.zeros((len(part), 1, 1), dtype=np.float16), part)
    description = folder / "store.json"
    content = json.loads(description.read_text())
    for name, shape, dtype in (
        ("regions", (images, regions, channels), "<f2"),
        ("features", (images, channels), "<f4"),
    ):
        content["arrays"][name]["shape"] = list(shape)
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
    description.write_text(json.dumps(content))
    return folder
