"""(d), (e), (h) Whole processes: SC-EGG from start to end with its memory, and the start of commands."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.memory import sampled
from benchmarks.speed.machine import Machine
from benchmarks.speed.measuring import OUT_OF_TIME, Part
from zslbench.data import RegionStore, RegionWriter
from zslbench.store.store import Store


def whole(machine: Machine, sizes: Any) -> Part:
    """``zslbench run sc-egg`` in a process of its own, twice over the same data: drawn, then found."""
    device = machine.device.type
    options = [*sizes.whole, "--device", device, *(["--threads", "1"] if device == "cpu" else [])]
    shown = f"zslbench run sc-egg --dataset sim-sun --reading authors {' '.join(options)}"
    part = Part(
        "whole",
        "(d, e) SC-EGG on `sim-sun` from start to end, and its memory",
        f"`{shown}`. The data set is drawn before, by a run of eszsl. `stages` are the seconds of stages 1 "
        "and 2 with g of all images; the rest of a run is stage 3, the classifiers and reading the data.",
    )
    with TemporaryDirectory() as folder:
        drawn = [*(one for one in options if not one.startswith("embedding"))]
        data = _pairs(drawn, "dataset.")
        first = ["run", "eszsl", "--dataset", "sim-sun", "--select", "last", "--device", device, *data]
        command = ["run", "sc-egg", "--dataset", "sim-sun", "--reading", "authors", *options]
        try:
            _run(first, folder, machine)
            seconds, peaks, record = _run(command, folder, machine)
        except TimeoutError:
            part.rows.append({"run": "SC-EGG", "seconds, with start-up": OUT_OF_TIME})
            return part
        stages = sum(event["seconds"] for event in record.environment["stages"] if not event["reused"])
        part.rows.append(
            {
                "run": "SC-EGG",
                "seconds, with start-up": seconds,
                "seconds of the run": record.environment["seconds"],
                "stages": stages,
                "peak RssAnon, GB": peaks["RssAnon"],
                "peak GPU memory, GB": record.environment.get("gpu_memory_peak", 0) / 1e9 or None,
                "execution": json.dumps(record.environment["execution"]),
            }
        )
    return part


def _pairs(options: list[str], prefix: str) -> list[str]:
    """The ``--set`` options of one component."""
    return [
        word
        for flag, value in pairwise(options)
        if flag == "--set" and value.startswith(prefix)
        for word in (flag, value)
    ]


def _run(arguments: list[str], store: str, machine: Machine) -> tuple[float, dict[str, float], Any]:
    command = [sys.executable, "-m", "zslbench", *arguments, "--store", store, "--format", "json"]
    left = machine.deadline - time.monotonic()
    seconds, peaks = sampled(command, None if math.isinf(left) else left)
    records = list(Store(Path(store)).records())
    newest = max(records, key=lambda record: (record.info.method != "eszsl", record.info.id))
    return seconds, peaks, newest


COMMANDS = (("--help", 0.3), ("methods", 0.6))
"""Arguments, and what issue and tests ask of them at most, in seconds."""
GIGABYTES = 23


def startup(machine: Machine, sizes: Any) -> Part:
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
