"""(h) Start-up: processor time of two commands, and opening a store of 23 GB."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.speed.machine import Machine
from benchmarks.speed.part import Part
from zslbench.data import RegionStore, RegionWriter

COMMANDS = (("--help", 0.3), ("methods", 0.6))
"""Arguments, and what issue and tests ask of them at most, in seconds."""
GIGABYTES = 23


def measure(machine: Machine, sizes: Any) -> Part:
    """Processor time, user and system, of a new process."""
    part = Part("startup", "(h) Start-up", "Processor time (user and system) of a new process; medians.")
    for argument, most in COMMANDS:
        times = [processor_seconds([sys.executable, "-m", "zslbench", argument]) for _ in range(5)]
        part.rows.append(
            {"what": f"zslbench {argument}", "ms": 1e3 * statistics.median(times), "aim, ms": 1e3 * most}
        )
    with TemporaryDirectory() as folder:
        store = sparse_store(Path(folder) / "large", 4 if sizes.name == "TINY" else GIGABYTES)
        times = []
        for _ in range(21):
            started = time.perf_counter()
            RegionStore.open(store)
            times.append(time.perf_counter() - started)
    part.rows.append(
        {
            "what": f"open a region store of {GIGABYTES} GB (sparse file)",
            "ms": 1e3 * statistics.median(times),
            "aim, ms": 50.0,
        }
    )
    return part


def processor_seconds(command: list[str]) -> float:
    """User and system time of a command, which must succeed."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return used.ru_utime + used.ru_stime


def sparse_store(folder: Path, gigabytes: int) -> Path:
    """A region store whose array seems so large: a small one, with the array and its description stretched.

    Its digests are those of the small one: opening does not read the array.
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
