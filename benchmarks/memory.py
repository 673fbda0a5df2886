"""Peak memory of SC-EGG at SUN's size, on simulated regions. Writes benchmarks/results/memory.md.

    python -m benchmarks.memory [--scale 1.0]

The data set ``sim-sun`` is generated first if it is missing (11.5 GB at scale 1.0, in the user's cache
folder). Then ``zslbench run sc-egg`` processes all of it: a few batches of each stage, g of every image,
classifiers. Anonymous memory (RssAnon) is sampled while it runs; mapped pages of the store are not counted,
since the system can reclaim them.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile

from benchmarks.common import numbered_table, processor, sampled, write_page

SHORT = (
    "--select last --epochs 1 --set embedding.stage1.epochs=1 --set embedding.stage1.iterations=5 "
    "--set embedding.stage2.epochs=1 --set embedding.stage2.iterations=5 --set generator.hidden=256 "
    "--set generator.per_class=10 --set classifier.epochs=1"
)


def main() -> None:
    """Run, sample, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of SUN's images (default 1.0)")
    parser.add_argument("--data-root", help="folder with SUN's real attributes and split, if available")
    arguments = parser.parse_args()
    scale = arguments.scale
    rows, commands = [], []
    with tempfile.TemporaryDirectory() as store:
        for method, options in (("eszsl", "--select last"), ("sc-egg", SHORT)):
            data = f"--dataset sim-sun --set dataset.scale={scale:g} --device cpu --threads 1"
            shown = f"run {method} {data} {options}"
            command = [sys.executable, "-m", "zslbench", *shown.split(), "--store", store]
            command += ["--data-root", arguments.data_root] if arguments.data_root else []
            seconds, peaks = sampled(command)
            commands.append(shown)
            rows.append(
                {
                    "method": method,
                    **{f"peak {name}, GB": peak for name, peak in peaks.items()},
                    "seconds": seconds,
                }
            )
    write_page(
        "memory",
        "Memory at SUN's size",
        "Regenerate with `python -m benchmarks.memory`. Simulated data (`sim-sun`, float16, scale "
        f"{scale:g}: {scale:.0%} of\n14,340 images of 196 regions x 2048). RssAnon is the memory that a run "
        "claims; RssFile are mapped\npages of the store, which the system can reclaim. The first row also "
        "generates the data set if it is missing.",
        numbered_table(rows, commands, decimals=2),
        f"Hardware: {processor()}, one thread, no GPU; Python {platform.python_version()}.",
    )


if __name__ == "__main__":
    main()
