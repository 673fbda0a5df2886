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
from typing import Any

import numpy as np

from benchmarks.common import processor, write_page
from zslbench.data import RegionStore
from zslbench.experiment.datasets import load_dataset
from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry
from zslbench.report import render

IMAGES = 64


def gathered(store: RegionStore, repeats: int, count: int = IMAGES) -> list[dict[str, Any]]:
    """Rows of milliseconds to gather the regions of ``count`` images; the ways take turns in going first."""
    bare = np.load(store.folder / "regions.npy", mmap_mode="r")
    ways: dict[str, tuple[Callable[[np.ndarray], Any], Callable[[np.ndarray], Any]]] = {
        f"as stored ({bare.dtype})": (lambda rows: bare[rows], store.raw),
        "as float32": (lambda rows: bare[rows].astype(np.float32), lambda rows: store[rows]),
    }
    calls = {(kind, place): call for kind, both in ways.items() for place, call in enumerate(both)}
    random = np.random.default_rng(0)
    times: dict[tuple[str, int], list[float]] = {name: [] for name in calls}
    for turn in range(repeats):
        rows = random.choice(len(bare), count, replace=False)
        for call in calls.values():
            call(rows)
        for name in list(calls)[:: 1 if turn % 2 else -1]:
            started = time.perf_counter()
            calls[name](rows)
            times[name].append(1000 * (time.perf_counter() - started))
    found = {kind: [statistics.median(times[kind, place]) for place in (0, 1)] for kind in ways}
    return [
        {"gather": kind, "bare memory map, ms": plain, "store, ms": ours, "ratio": ours / plain}
        for kind, (plain, ours) in found.items()
    ]


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
    opening = []
    for _ in range(arguments.repeats):
        started = time.perf_counter()
        RegionStore.open(store.folder)
        opening.append(1000 * (time.perf_counter() - started))
    rows = gathered(store, arguments.repeats)
    text = [
        "# Reading from the region store",
        "",
        "Regenerate with `python -m benchmarks.store`. Simulated data (`sim-sun`, scale "
        f"{arguments.scale:g}: {store.shape[0]:,} images,",
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
    write_page("store", text)


if __name__ == "__main__":
    main()
