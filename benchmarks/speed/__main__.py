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
from benchmarks.common import RESULTS
from benchmarks.speed import machine as machines
from benchmarks.speed.machine import TINY, Sizes, sizes_for
from benchmarks.speed.measuring import OUT_OF_TIME, OutOfTime, Part
from benchmarks.speed.processes import startup, whole
from benchmarks.speed.regions import reading, stage1
from benchmarks.speed.scoring import classifier, evaluator
from benchmarks.speed.stage3 import penalty, stage3
from zslbench.store import write_whole

PARTS: dict[str, Callable[[machines.Machine, Sizes], Part | list[Part]]] = {
    "stage3": stage3,
    "stage1": stage1,
    "penalty": penalty,
    "classifier": classifier,
    "evaluator": evaluator,
    "reading": reading,
    "startup": startup,
    "whole": whole,
}
SHARES = {"stage3": 3.0, "penalty": 0.3, "whole": 4.0}
"""A part's share of the time left, where it is not 1; what a part does not need goes to those after it."""
BUDGET = 540.0
"""Seconds on a GPU, where every minute counts: below ten with what is under way when it ends."""


def main(arguments: Sequence[str] | None = None) -> list[Path]:
    """Measure what was asked for; gives the files written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes, to test the suite itself")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--budget",
        type=float,
        help=f"seconds after which nothing more is begun (default: {BUDGET:.0f} on a GPU, none on a CPU)",
    )
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this part; repeatable")
    given = parser.parse_args(arguments)
    device = "cuda" if given.device != "cpu" and torch.cuda.is_available() else "cpu"
    if given.device == "cuda" and device == "cpu":
        parser.error("--device cuda: torch sees no GPU here")
    torch.set_num_threads(given.threads)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as runs set it
    sizes = TINY if given.tiny else sizes_for(device, given.quick)
    started = time.monotonic()
    machine = machines.measured(torch.device(device), sizes)
    shown = " ".join(sys.argv[1:] if arguments is None else arguments)
    budget = given.budget or (BUDGET if device == "cuda" else math.inf)
    return _measured(machine, sizes, given.part or list(PARTS), started + budget, given.out, shown)


def _measured(
    machine: machines.Machine, sizes: Sizes, names: Sequence[str], end: float, out: Path, shown: str
) -> list[Path]:
    """Measure part by part; what is known is written after each of them.

    Raises:
        SystemExit: a part failed; its place on the page says how, and the others were measured.
    """
    parts: list[Part] = []
    failed: list[str] = []
    started, paths = time.monotonic(), []
    for place, name in enumerate(names):
        sys.stderr.write(f"{name} ...\n")
        before = time.monotonic()
        shares = [SHARES.get(one, 1.0) for one in names[place:]]
        deadline = before + max(0.0, end - before) * shares[0] / sum(shares)
        found = attempt(name, replace(machine, deadline=deadline), sizes)
        if found[0].failed:
            failed.append(name)
        found[0].seconds = time.monotonic() - before
        parts += found
        described = {
            **machine.describe(),
            "zslbench": zslbench.__version__,
            "command": f"python -m benchmarks.speed {shown}".strip(),
            "sizes": sizes.name,
            "seconds": time.monotonic() - started,
        }
        paths = written(out, machine.slug, described, sizes, parts)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}; the others' results are in {paths[1]}")
    return paths


def attempt(name: str, machine: machines.Machine, sizes: Sizes) -> list[Part]:
    """A part, or why there is none."""
    if machine.is_late:
        return [Part(name, name, OUT_OF_TIME)]
    try:
        made = PARTS[name](machine, sizes)
    except OutOfTime:
        return [Part(name, name, OUT_OF_TIME)]
    except (Exception, SystemExit) as error:
        traceback.print_exc()
        first = (str(error).strip().splitlines() or [""])[0][:300]
        return [Part(name, name, f"failed: {type(error).__name__}: {first}", failed=True)]
    finally:
        if machine.device.type == "cuda":
            torch.cuda.empty_cache()
    return made if isinstance(made, list) else [made]


def written(
    out: Path, slug: str, described: dict[str, Any], sizes: Sizes, parts: Sequence[Part]
) -> list[Path]:
    """Write what is known so far; gives the files."""
    out.mkdir(parents=True, exist_ok=True)
    content = {"machine": described, "parts": [asdict(part) for part in parts]}
    paths = [out / f"{slug}.{ending}" for ending in ("json", "md")]
    write_whole(paths[0], (json.dumps(content, indent=1) + "\n").encode())
    write_whole(paths[1], "\n".join(page(described, sizes, parts)).encode())
    return paths


def page(described: dict[str, Any], sizes: Sizes, parts: Sequence[Part]) -> list[str]:
    """The Markdown page."""
    threads = "" if described["cuda"] else f", {described['threads']} thread(s), no GPU"
    lines = [
        "# Speed",
        "",
        f"Regenerate with `{described['command']}`. {described['hardware']}{threads}, on a machine "
        f"that may have done other work too; torch {described['torch']}, Python {described['python']}, "
        f"zslbench {described['zslbench']}.",
        "",
        f"Sizes: {sizes.note}. All of it is generated. {sizes.repeats} repetitions, the ways taking turns; "
        "medians, `ratio` to the first row, `spread` the least and largest time beside the median.",
        "",
        f"Limits of the machine, measured: {described['copy, GB/s']:,.1f} GB/s of copies (reading and "
        f"writing counted), {described['float32 product, GFLOP/s']:,.0f} GFLOP/s of float32 products. "
        "`limit` is the time that the operations at that rate, or the bytes that must be moved at least at "
        "that rate, take; `as executed` counts operands and results of every single operation, caches left "
        "aside.",
        "",
    ]
    for part in parts:
        lines += part.markdown()
    return lines


if __name__ == "__main__":
    for path in main():
        sys.stderr.write(f"{path}\n")
