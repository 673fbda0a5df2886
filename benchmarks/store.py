"""Reading from the region store against a bare memory map. Writes benchmarks/results/store.md.

    python -m benchmarks.store [--scale 1.0]

The data set ``sim-sun`` is drawn first where it is not there. Each repetition gathers the regions of 64
random images through both, after their pages have been read: the reader is compared, not the disk.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.machine import processor
from zslbench.data.regions.store import RegionStore
from zslbench.experiment.datasets import load_dataset
from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry
from zslbench.report import render

RESULTS = Path(__file__).parent / "results"
IMAGES = 64


def measured(
    calls: dict[str, Callable[[np.ndarray], Any]], images: int, repeats: int, count: int = IMAGES
) -> dict[str, float]:
    """The median milliseconds of each call on ``count`` images; they take turns in going first."""
    random = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats):
        rows = random.choice(images, count, replace=False)
        for call in calls.values():
            call(rows)
        names = list(calls) if turn % 2 else list(calls)[::-1]
        for name in names:
            started = time.perf_counter()
            calls[name](rows)
            times[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of SUN's images (default 1.0)")
    parser.add_argument("--repeats", type=int, default=31)
    arguments = parser.parse_args()
    recipe = resolve(registry(), "sim-sun", method="eszsl", settings={"dataset.scale": arguments.scale})
    dataset = load_dataset(
        recipe.parts["dataset"], root=None, features=None, semantics=None, needs_regions=True
    )
    store = dataset.regions
    assert isinstance(store, RegionStore)
    file = store.folder / "regions.npy"
    bare = np.load(file, mmap_mode="r")
    opening = []
    for _ in range(arguments.repeats):
        started = time.perf_counter()
        RegionStore.open(store.folder)
        opening.append(1000 * (time.perf_counter() - started))
    calls: dict[str, Callable[[np.ndarray], Any]] = {
        "bare memory map, as stored": lambda rows: bare[rows],
        "store, as stored": store.raw,
        "bare memory map, to float32": lambda rows: bare[rows].astype(np.float32),
        "store, float32": lambda rows: store[rows],
    }
    times = measured(calls, len(bare), arguments.repeats)
    rows = [
        {
            "gather": kind,
            "bare memory map, ms": times[f"bare memory map, {first}"],
            "store, ms": times[f"store, {second}"],
            "ratio": times[f"store, {second}"] / times[f"bare memory map, {first}"],
        }
        for kind, first, second in (
            (f"as stored ({bare.dtype})", "as stored", "as stored"),
            ("as float32", "to float32", "float32"),
        )
    ]
    RESULTS.mkdir(exist_ok=True)
    text = [
        "# Reading from the region store",
        "",
        "Regenerate with `python -m benchmarks.store`. Simulated data (`sim-sun`, scale "
        f"{arguments.scale:g}: {len(bare):,} images,",
        f"{file.stat().st_size / 1e9:.1f} GB); gather of {IMAGES} random images' regions, pages in memory,",
        f"medians of {arguments.repeats}.",
        "",
        render(rows, "markdown", decimals=2),
        "",
        f"Opening the store: {statistics.median(opening):.1f} ms (median).",
        "",
        f"Hardware: {processor()}, one thread, on a machine that did other work too; numpy {np.__version__}.",
        "",
    ]
    (RESULTS / "store.md").write_text("\n".join(text), "utf-8")


if __name__ == "__main__":
    main()
