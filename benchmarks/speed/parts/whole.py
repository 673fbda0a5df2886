"""(d), (e) SC-EGG from start to end on simulated regions, and the memory that it takes."""

from __future__ import annotations

import json
import math
import sys
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.memory import sampled
from benchmarks.speed.machine import Machine
from benchmarks.speed.part import OUT_OF_TIME, Part
from zslbench.store.store import Store


def measure(machine: Machine, sizes: Any) -> Part:
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
