"""Time and memory over the number of classes, on simulated data. Writes benchmarks/results/classes.md.

    python -m benchmarks.classes [--classes 200 2000 20000] [--repeats 3] [--old CHECKOUT]

Data sets in the field's format differ only in their number of classes, half of them unseen; the
numbers of images, attributes and features are the same in all. ``zslbench run`` takes each from its
files to the record in a separate process, the sizes in turns. Processor time is that of the process, all
threads together.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch

from benchmarks.common import RESULTS, processor, write_page
from zslbench.report import render

TRAINVAL, TEST_SEEN, TEST_UNSEEN = 10_000, 5_000, 10_000
ATTRIBUTES, FEATURES = 300, 512
SMALL = (
    "--epochs 1 --set generator.hidden=64 --set generator.batch_size=1000 --set generator.per_class=1 "
    "--set classifier.epochs=1"
)
METHODS = {"eszsl": "", "tf-vaegan": SMALL}


def simulate(folder: Path, classes: int) -> None:
    """Write a data set in which features are a noisy linear function of the class's attributes."""
    random = np.random.default_rng(classes)
    attributes = random.standard_normal((classes, ATTRIBUTES), dtype=np.float32)
    attributes /= np.linalg.norm(attributes, axis=1, keepdims=True)
    seen, unseen = np.arange(classes // 2), np.arange(classes // 2, classes)
    parts = {
        "trainval": (seen, TRAINVAL),
        "test_seen": (seen, TEST_SEEN),
        "test_unseen": (unseen, TEST_UNSEEN),
    }
    labels = np.concatenate([np.resize(side, count) for side, count in parts.values()])
    features = attributes[labels] @ random.standard_normal((ATTRIBUTES, FEATURES), dtype=np.float32)
    features += 0.5 * random.standard_normal(features.shape, dtype=np.float32)
    ends = np.cumsum([TRAINVAL, TEST_SEEN])
    rows = np.split(np.arange(1, len(labels) + 1), ends)
    names = np.array([f"class {one}" for one in range(classes)], dtype=object)
    folder.mkdir(parents=True)
    located = {f"{part}_loc": one[:, None] for part, one in zip(parts, rows, strict=True)}
    described = {"att": attributes.T.astype(np.float64), "allclasses_names": names[:, None]}
    scipy.io.savemat(folder / "att_splits.mat", described | located)
    res101 = {"features": np.maximum(features, 0).T, "labels": labels[:, None] + 1}
    scipy.io.savemat(folder / "res101.mat", res101)


def measured(words: str, checkout: Path | None) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak memory in GB of a command; SystemExit if it fails."""
    paths = [str(checkout), str(checkout / "plugins")] if checkout else sys.path
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    started = os.times().elapsed
    line = [sys.executable, "-m", "zslbench", *words.split()]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, env=environment, cwd=checkout)
    ended, peak = 0, 0
    while not ended:  # the peak reported after the end would include the parent's memory
        time.sleep(0.05)
        with contextlib.suppress(OSError, IndexError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = int(status.partition("VmHWM:")[2].split()[0])
        ended, code, used = os.wait4(process.pid, os.WNOHANG)
    if code:
        raise SystemExit(f"failed: zslbench {words}")
    return os.times().elapsed - started, used.ru_utime + used.ru_stime, peak * 1024 / 1e9


def main() -> None:
    """Simulate, run, write; the page is rewritten after each turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[200, 2000, 20_000])
    parser.add_argument("--repeats", type=int, default=3, help="turns (default 3)")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--old", type=Path, help="another checkout of zslbench, which then runs eszsl once")
    given = parser.parse_args()
    found: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for classes in given.classes:
            simulate(root / "data" / f"C{classes}", classes)
        for turn in range(given.repeats):
            for method in given.methods:
                for classes in given.classes:
                    places = f"--dataset C{classes} --data-root {root}/data --store {root}/{turn}"
                    took = measured(f"{command(method)} {places}", None)
                    found.setdefault((method, classes), []).append(took)
            write(found, given.old)
        for classes in given.classes if given.old else ():
            words = f"{command('eszsl')} --dataset C{classes} --data-root {root}/data --store {root}/old"
            found[f"eszsl, {given.old.name}", classes] = [measured(words, given.old)]
            write(found, given.old)


def command(method: str) -> str:
    """The words after ``zslbench``, without the data set and folders."""
    return f"run {method} --select last --threads 1 --device cpu {METHODS[method]}".strip()


def write(found: Mapping[tuple[str, int], list[tuple[float, float, float]]], old: Path | None) -> None:
    """Write the page."""
    rows: list[dict[str, Any]] = []
    fewest = min(classes for _, classes in found)
    for (method, classes), turns in found.items():
        seconds, cpu, memory = (statistics.median(column) for column in zip(*turns, strict=True))
        rows.append(
            {
                "run": method,
                "classes": classes,
                "turns": len(turns),
                "processor, s": cpu,
                "ratio": cpu / statistics.median(one[1] for one in found[method, fewest]),
                "seconds": seconds,
                "peak memory, GB": memory,
            }
        )
    write_page(
        RESULTS / "classes.md",
        "Time and memory over the number of classes",
        f"Regenerate with `python -m benchmarks.classes`. Simulated data: {TRAINVAL:,} training images, "
        f"{TEST_SEEN:,} seen and {TEST_UNSEEN:,} unseen test images whatever the number of classes, "
        f"{ATTRIBUTES} attributes, {FEATURES} features. From the files to the record, start of Python "
        "included; medians. `ratio`: processor time relative to the fewest classes; peak memory includes the "
        "libraries, 0.3 GB." + (f" {old.name} is an older revision (`--old`)." if old else ""),
        render(rows, "markdown"),
        "\n".join(f"- `zslbench {command(method)}`" for method in METHODS),
        f"Hardware: {processor()}, one thread, no GPU, on a machine that also did other work, so trust "
        f"processor time more than seconds; Python {platform.python_version()}, torch {torch.__version__}, "
        f"numpy {np.__version__}.",
    )


if __name__ == "__main__":
    main()
