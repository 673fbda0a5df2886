"""Reading from the region store compared with a bare memory map. Writes benchmarks/results/store.md.

    python -m benchmarks.store [--scale 1.0]

The data set ``sim-sun`` is generated first if it is missing. Each turn gathers the regions of 64 random
images in every way, after their pages were read: this compares readers, not disks.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common import interleaved, processor, write_page
from zslbench.data import RegionStore
from zslbench.experiment import load_dataset, resolve
from zslbench.plugin import registry
from zslbench.report import render

IMAGES = 64


def gathered(store: RegionStore, repeats: int, count: int = IMAGES) -> list[dict[str, Any]]:
    """Milliseconds to gather the regions of ``count`` random images, a row per type of the result."""
    bare = np.load(store.folder / "regions.npy", mmap_mode="r")
    stored = f"as stored ({bare.dtype})"
    random, rows = np.random.default_rng(0), np.arange(count)
    calls = {
        (stored, "bare"): lambda: bare[rows],
        (stored, "store"): lambda: store.raw(rows),
        ("as float32", "bare"): lambda: bare[rows].astype(np.float32),
        ("as float32", "store"): lambda: store[rows],
    }

    def prepare() -> None:
        rows[:] = random.choice(len(bare), count, replace=False)
        bare[rows]  # reads their pages

    named = {f"{kind}, {way}": call for (kind, way), call in calls.items()}
    times = interleaved(named, repeats, prepare=prepare)
    found = []
    for kind in (stored, "as float32"):
        plain, ours = (1e3 * times[f"{kind}, {way}"].median for way in ("bare", "store"))
        found.append({"gather": kind, "bare memory map, ms": plain, "store, ms": ours, "ratio": ours / plain})
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of SUN's images (default 1.0)")
    parser.add_argument("--repeats", type=int, default=31)
    arguments = parser.parse_args()
    recipe = resolve(registry(), "sim-sun", method="eszsl", settings={"dataset.scale": arguments.scale})
    part = recipe.parts["dataset"]
    store = load_dataset(part, needs_regions=True).regions
    assert isinstance(store, RegionStore)
    opening = interleaved({"open": partial(RegionStore.open, store.folder)}, arguments.repeats)["open"]
    size = (store.folder / "regions.npy").stat().st_size / 1e9
    write_page(
        "store",
        "Reading from the region store",
        "Regenerate with `python -m benchmarks.store`. Simulated data (`sim-sun`, scale "
        f"{arguments.scale:g}: {store.shape[0]:,} images, {size:.1f} GB);\ngather of {IMAGES} random images' "
        f"regions, pages in memory, medians of {arguments.repeats}.",
        render(gathered(store, arguments.repeats), "markdown", decimals=2),
        f"Opening the store: {1e3 * opening.median:.1f} ms (median).",
        f"Hardware: {processor()}, one thread, on a machine that may have done other work; numpy "
        f"{np.__version__}.",
    )


if __name__ == "__main__":
    main()
