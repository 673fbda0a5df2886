"""Whole processes: SC-EGG from start to end with its memory, and the start-up of commands."""

from __future__ import annotations

import json
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import sampled
from benchmarks.speed.machine import Machine, Sizes
from benchmarks.speed.measuring import Part
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
        for one in (f"run eszsl --dataset sim-sun --select last --device {device} {data}", command):
            left = machine.deadline - time.monotonic()
            seconds, peaks = sampled(one, "--store", store, "--format", "json", limit=left)
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


COMMANDS = (("--help", 0.3), ("methods", 0.6))
"""Arguments, and the seconds that they may take."""


def startup(machine: Machine, sizes: Sizes) -> Part:
    """Processor time, user and system, of a new process."""
    part = Part("startup", "Start-up", "Processor time (user and system) of a new process; medians.")
    for argument, most in COMMANDS:
        times = []
        for _ in range(5):
            before = _children()
            command = [sys.executable, "-m", "zslbench", argument]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            times.append(_children() - before)
        row = {"what": f"zslbench {argument}", "ms": 1e3 * statistics.median(times), "limit, ms": 1e3 * most}
        part.rows.append(row)
    return part


def _children() -> float:
    """Processor time of the finished child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
