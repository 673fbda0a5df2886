"""``python -m benchmarks.speed``: run the parts, write JSON and Markdown."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

import zslbench
from benchmarks.common import RESULTS, write_page
from benchmarks.speed import machine as machines
from benchmarks.speed.evaluator import evaluator
from benchmarks.speed.machine import CPU, SUN, TINY, Sizes
from benchmarks.speed.measuring import OUT_OF_TIME, Part
from benchmarks.speed.processes import startup, whole
from benchmarks.speed.stages import stage1, stage3
from zslbench.store import write_atomically

PARTS: dict[str, Callable[[machines.Machine, Sizes], Part]] = {
    part.__name__: part for part in (stage3, stage1, evaluator, startup, whole)
}
SHARES = {"stage3": 3.0, "whole": 4.0}
"""A part's share of the time left, if not 1; what a part does not need is left to the following ones."""
BUDGET = 540.0
"""Seconds on a GPU: less than ten minutes with the part that is running when they end."""


def main(arguments: Sequence[str] | None = None) -> list[Path]:
    """Measure the requested parts; returns the files written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, to test the suite itself")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    text = f"seconds after which nothing more is started (default: {BUDGET:.0f} on a GPU, no limit on a CPU)"
    parser.add_argument("--budget", type=float, help=text)
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part; repeatable")
    given = parser.parse_args(arguments)
    device = "cuda" if given.device != "cpu" and torch.cuda.is_available() else "cpu"
    if given.device == "cuda" and device == "cpu":
        parser.error("--device cuda: torch finds no GPU")
    torch.set_num_threads(given.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as runs set it
    sizes = TINY if given.tiny else SUN if device == "cuda" else CPU
    if given.quick:
        sizes = replace(sizes, name=f"{sizes.name}, quick", repeats=min(3, sizes.repeats))
    started = time.monotonic()
    machine = machines.measured(torch.device(device), sizes)
    end = started + (given.budget or (BUDGET if device == "cuda" else math.inf))
    shown = " ".join(sys.argv[1:] if arguments is None else arguments)
    about = {
        **machine.describe(),
        "zslbench": zslbench.__version__,
        "command": f"python -m benchmarks.speed {shown}".strip(),
        "sizes": sizes.name,
    }
    names, parts = given.part or list(PARTS), list[Part]()
    paths: list[Path] = []
    for place, name in enumerate(names):  # what is known is written after each part
        sys.stderr.write(f"{name} ...\n")
        before = time.monotonic()
        shares = [SHARES.get(one, 1.0) for one in names[place:]]
        deadline = before + max(0.0, end - before) * shares[0] / sum(shares)
        parts.append(attempt(name, replace(machine, deadline=deadline), sizes))
        parts[-1].seconds = time.monotonic() - before
        paths = write(given.out, machine.slug, {**about, "seconds": time.monotonic() - started}, sizes, parts)
    if failed := [part.name for part in parts if part.failed]:
        raise SystemExit(f"failed: {', '.join(failed)}; the others' results are in {paths[1]}")
    return paths


def attempt(name: str, machine: machines.Machine, sizes: Sizes) -> Part:
    """Measure a part; if that fails or there is no time, a part that says so."""
    try:
        if machine.is_late():
            raise TimeoutError
        return PARTS[name](machine, sizes)
    except TimeoutError:
        return Part(name, name, OUT_OF_TIME)
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        first = (str(error).strip().splitlines() or [""])[0][:300]
        return Part(name, name, f"failed: {type(error).__name__}: {first}", failed=True)
    finally:
        if machine.device.type == "cuda":
            torch.cuda.empty_cache()


def write(out: Path, slug: str, about: dict[str, Any], sizes: Sizes, parts: Sequence[Part]) -> list[Path]:
    """Write the parts measured so far as JSON and Markdown; returns the files."""
    out.mkdir(parents=True, exist_ok=True)
    data, page = (out / f"{slug}.{suffix}" for suffix in ("json", "md"))
    content = {"machine": about, "parts": [asdict(part) for part in parts]}
    write_atomically(data, (json.dumps(content, indent=1) + "\n").encode())
    threads = "" if about["cuda"] else f", {about['threads']} thread(s), no GPU"
    write_page(
        page,
        "Speed",
        f"Regenerate with `{about['command']}`. {about['hardware']}{threads}, on a machine that may have "
        f"done other work; torch {about['torch']}, Python {about['python']}, zslbench {about['zslbench']}.",
        f"Sizes: {sizes.note}. All data is generated. {sizes.repeats} repetitions, taken in turns; medians. "
        "`ratio` is to the first row, `spread` the minimum and maximum as multiples of the median.",
        f"Measured limits of the machine: {about['copy, GB/s']:,.1f} GB/s for copies (reads and writes both "
        f"count), {about['float32 product, GFLOP/s']:,.0f} GFLOP/s for float32 products. `limit` is the time "
        "that the operations take at that rate, or the bytes that must be moved, whichever is longer.",
        *(block for part in parts for block in part.blocks()),
    )
    return [data, page]


if __name__ == "__main__":
    for path in main():
        sys.stderr.write(f"{path}\n")
