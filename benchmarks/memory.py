"""Peak memory of SC-EGG at SUN's true size, on simulated regions. Writes benchmarks/results/memory.md.

    python -m benchmarks.memory [--scale 1.0]

The data set ``sim-sun`` is drawn first where it is not there (11.5 GB at scale 1.0, in the user's cache
folder); then ``zslbench run sc-egg`` goes through all of it: a few batches of each stage, g of every image,
classifiers. Anonymous memory (RssAnon) is sampled while it runs; mapped pages of the store are not counted,
the system takes them back.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import processor, write_page
from zslbench.report import render

SHORT = (
    "--select last --epochs 1 --set embedding.stage1.epochs=1 --set embedding.stage1.iterations=5 "
    "--set embedding.stage2.epochs=1 --set embedding.stage2.iterations=5 --set generator.hidden=256 "
    "--set generator.per_class=10 --set classifier.epochs=1"
)


def sampled(command: list[str], most: float | None = None) -> tuple[float, dict[str, float]]:
    """Seconds, and the peaks of RssAnon and RssFile in GB of a command.

    Raises:
        TimeoutError: it took more than ``most`` seconds, and was ended.
    """
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peaks = {"RssAnon": 0.0, "RssFile": 0.0}
    while process.poll() is None:
        for name, value in memory_of(process.pid).items():
            peaks[name] = max(peaks[name], value)
        if most is not None and time.monotonic() - started > most:
            process.kill()
            process.wait()
            raise TimeoutError(" ".join(command))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
    return time.monotonic() - started, peaks


def memory_of(pid: int) -> dict[str, float]:
    """RssAnon and RssFile of a process, GB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    return {name: int(fields[name]) * 1024 / 1e9 for name in ("RssAnon", "RssFile") if name in fields}


def main() -> None:
    """Run, sample, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of SUN's images (default 1.0)")
    parser.add_argument("--data-root", help="folder with SUN's real attributes and split, if there are any")
    arguments = parser.parse_args()
    data = f"--dataset sim-sun --set dataset.scale={arguments.scale:g}"
    rows = []
    with tempfile.TemporaryDirectory() as store:
        for method, options in (("eszsl", "--select last"), ("sc-egg", SHORT)):
            shown = f"run {method} {data} --device cpu --threads 1 {options}"
            command = [sys.executable, "-m", "zslbench", *shown.split(), "--store", store]
            command += ["--data-root", arguments.data_root] if arguments.data_root else []
            seconds, peaks = sampled(command)
            rows.append(
                {
                    "method": method,
                    "peak RssAnon, GB": peaks["RssAnon"],
                    "peak RssFile, GB": peaks["RssFile"],
                    "seconds": seconds,
                    "command": f"`zslbench {shown}`",
                }
            )
    text = [
        "# Memory at SUN's size",
        "",
        "Regenerate with `python -m benchmarks.memory`. Simulated data (`sim-sun`, float16, scale "
        f"{arguments.scale:g}: {arguments.scale:.0%} of 14,340 images of 196 regions x 2048).",
        "Anonymous memory is what a run claims; RssFile are mapped pages of the store, which the system",
        "takes back. The first row draws the data set where it was not there.",
        "",
        render([{k: v for k, v in one.items() if k != "command"} for one in rows], "markdown", decimals=2),
        "",
        *(f"- {one['method']}: {one['command']}" for one in rows),
        "",
        f"Hardware: {processor()}, one thread, no GPU; Python {platform.python_version()}.",
        "",
    ]
    write_page("memory", text)


if __name__ == "__main__":
    main()
