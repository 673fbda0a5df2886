"""Memory and reading at SUN's size, on simulated regions. Writes benchmarks/results/sun.md.

    python -m benchmarks.sun [--scale 1.0]

The data set ``sim-sun`` is generated first if it is missing (11.5 GB at scale 1.0, in the user's cache
folder). Then ``zslbench run sc-egg`` processes all of it: a few batches of each stage, g of every image,
classifiers. Anonymous memory (RssAnon) is sampled while it runs; mapped pages of the store are not counted,
since the system can reclaim them. Last, each turn gathers the regions of 64 random images in every way, after
their pages were read: this compares readers, not disks.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, interleaved, processor, sampled, write_page
from zslbench.data import RegionStore
from zslbench.experiment import load_dataset, resolve
from zslbench.plugin import registry
from zslbench.report import render

IMAGES = 64
SHORT = (
    "--select last --epochs 1 --set embedding.stage1.epochs=1 --set embedding.stage1.iterations=5 "
    "--set embedding.stage2.epochs=1 --set embedding.stage2.iterations=5 --set generator.hidden=256 "
    "--set generator.per_class=10 --set classifier.epochs=1"
)


def gathered(store: RegionStore, repeats: int) -> list[dict[str, Any]]:
    """Milliseconds to gather the regions of random images, a row per type of the result."""
    bare = np.load(store.folder / "regions.npy", mmap_mode="r")
    random, rows = np.random.default_rng(0), np.arange(IMAGES)

    def prepare() -> None:
        rows[:] = random.choice(len(bare), IMAGES, replace=False)
        bare[rows]  # reads their pages

    calls = {
        "bare": lambda: bare[rows],
        "store": lambda: store.raw(rows),
        "bare, float32": lambda: bare[rows].astype(np.float32),
        "store, float32": lambda: store[rows],
    }
    ms = {name: 1e3 * one.median for name, one in interleaved(calls, repeats, prepare=prepare).items()}
    return [
        {
            "gather": kind,
            "bare memory map, ms": ms[f"bare{suffix}"],
            "store, ms": ms[f"store{suffix}"],
            "ratio": ms[f"store{suffix}"] / ms[f"bare{suffix}"],
        }
        for kind, suffix in ((f"as stored ({bare.dtype})", ""), ("as float32", ", float32"))
    ]


def main() -> None:
    """Run, sample, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of SUN's images (default 1.0)")
    parser.add_argument("--data-root", help="folder with SUN's real attributes and split, if available")
    parser.add_argument("--repeats", type=int, default=31, help="turns of gathering (default 31)")
    given = parser.parse_args()
    data = f"--dataset sim-sun --set dataset.scale={given.scale:g} --device cpu --threads 1"
    commands = {"eszsl": f"run eszsl {data} --select last", "sc-egg": f"run sc-egg {data} {SHORT}"}
    root = ["--data-root", given.data_root] if given.data_root else []
    memory = []
    with tempfile.TemporaryDirectory() as folder:
        for method, command in commands.items():
            seconds, peaks = sampled(command, "--store", folder, *root)
            named = {f"peak {name}, GB": peak for name, peak in peaks.items()}
            memory.append({"method": method, **named, "seconds": seconds})
    recipe = resolve(registry(), "sim-sun", method="eszsl", settings={"dataset.scale": given.scale})
    store = load_dataset(recipe.parts["dataset"], root=given.data_root, needs_regions=True).regions
    assert isinstance(store, RegionStore)
    opening = interleaved({"open": partial(RegionStore.open, store.folder)}, given.repeats)["open"].median
    size = (store.folder / "regions.npy").stat().st_size / 1e9
    write_page(
        RESULTS / "sun.md",
        "Memory and reading at SUN's size",
        f"Regenerate with `python -m benchmarks.sun`. Simulated data (`sim-sun`, scale {given.scale:g}: "
        f"{store.shape[0]:,} images of {store.shape[1]} regions x {store.shape[2]}, {size:.1f} GB).",
        "## Memory",
        "RssAnon is the memory that a run claims; RssFile are mapped pages of the store, which the system "
        "can reclaim. The first row also generates the data set if it is missing.",
        render(memory, "markdown", decimals=2),
        "\n".join(f"- `zslbench {command}`" for command in commands.values()),
        "## Reading from the region store",
        f"Gather of {IMAGES} random images' regions, pages in memory, medians of {given.repeats}.",
        render(gathered(store, given.repeats), "markdown", decimals=2),
        f"Opening the store: {1e3 * opening:.1f} ms (median).",
        f"Hardware: {processor()}, one thread, no GPU, on a machine that may have done other work; Python "
        f"{platform.python_version()}, numpy {np.__version__}.",
    )


if __name__ == "__main__":
    main()
