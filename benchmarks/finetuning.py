"""Training steps of AREN with EfficientNet-Lite0: speed and memory. Writes benchmarks/results/finetuning.md.

    python -m benchmarks.finetuning

Each row is measured in a process of its own: the gradients of one step, after one that is not counted.
Pictures per second are of processor time on one thread, which hardly depends on other work.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import RESULTS, processor, write_page
from zslbench.plugin import Program, Streams
from zslbench.report import render
from zslbench.testing import TinyInputs
from zslbench.training.iteration import example_calls, initial_networks
from zslbench.training.step import step_function
from zslbench_aren.finetuned import AREN
from zslbench_aren.settings import FineTunedARENSettings
from zslbench_extractors.settings import BackboneSettings

CASES: dict[str, dict[str, Any]] = {
    "stage6 to head, without augmentation": {"trained_blocks": 3, "augment": False},
    "stage6 to head": {"trained_blocks": 3},
    "all": {"trained_blocks": 9},
    "all, batch statistics": {"trained_blocks": 9, "norm": "trained"},
    "all, in 4 parts": {"trained_blocks": 9, "accumulate": 4},
}
ABOUT = """\
*memory* is what the step needs beyond the process before it, gradients included. Without augmentation the
output of the frozen blocks is computed before training, which is not counted here."""


def peak(*, reset: bool = False) -> int:
    """Most bytes that this process held since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    return 1024 * int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


def measure(name: str, batch: int, size: int, repeats: int) -> dict[str, float]:
    """Processor seconds and bytes of a step."""
    torch.set_num_threads(1)
    inputs, streams = TinyInputs(attributes=312, per_class=max(4, batch // 4)), Streams(0, "cpu")
    space = inputs.space()
    view = replace(inputs.raw_view(space), regions=None)
    options = BackboneSettings(image_size=size, crop=size, **CASES[name])
    settings = FineTunedARENSettings(batch_size=batch, backbone=options)
    images = inputs.pictures(len(view.labels), size, streams)
    program = next(AREN(settings, space).fit(replace(view, images=images)))
    assert isinstance(program, Program)
    nets = {**initial_networks(program, streams), **program.frozen}
    step, examples, noise = next(example_calls(program, space.semantics, streams))
    run = step_function(step)
    before = peak(reset=True)
    run(nets, examples, noise)
    most, start = peak() - before, time.process_time()
    for _ in range(repeats):
        run(nets, examples, noise)
    return {"seconds": (time.process_time() - start) / repeats, "bytes": most}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        sys.stdout.write(json.dumps(measure(given.case, given.batch, given.size, given.repeats)))
        return
    sizes = [f"--{name}={getattr(given, name)}" for name in ("batch", "size", "repeats")]
    rows = []
    for name in CASES:
        command = [sys.executable, "-m", "benchmarks.finetuning", *sizes, "--case", name]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        speed, memory = given.batch / found["seconds"], found["bytes"] / 1e6
        rows.append({"blocks that train": name, "pictures/s": f"{speed:.1f}", "memory, MB": f"{memory:.0f}"})
    write_page(
        RESULTS / "finetuning.md",
        "Training a backbone on pictures",
        f"Regenerate with `python -m benchmarks.finetuning {' '.join(sizes)}`.",
        f"One step of AREN on EfficientNet-Lite0: {given.batch} pictures of {given.size} pixels, float32.",
        ABOUT,
        f"Hardware: {processor()}, {len(os.sched_getaffinity(0))} cores, torch on 1 thread, no GPU.\n"
        f"Python {platform.python_version()}, torch {version('torch')}.",
        render(rows, "markdown"),
    )


if __name__ == "__main__":
    main()
