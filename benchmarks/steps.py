"""Training steps per second of the generative methods beside TF-VAEGAN's. Writes benchmarks/results/steps.md.

    python -m benchmarks.steps [--methods NAME ...] [--repeats 5] [--batch-size 64] [--device cpu]

Every method trains on the same random features of CUB's size, with the widths of its preset for CUB and the
same batch size. Only its paced program is timed; preparatory stages are left untrained.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks.common import RESULTS, Timed, interleaved, processor, write_page
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin import preset_names
from zslbench.plugin.discovery import registry
from zslbench.plugin.programs import Derived, Fit, Program
from zslbench.plugin.streams import Streams
from zslbench.plugin.targets import load_class
from zslbench.plugin.views import ClassSpace, TrainView
from zslbench.report import render
from zslbench.training.context import Training
from zslbench.training.program_run import ProgramRun

IMAGES, SEEN, UNSEEN, ATTRIBUTES, WIDTH = 7057, 150, 50, 312, 2048
"""CUB's, with features of ResNet-101."""
ITERATIONS = 2
"""Of each pass, in one timed call."""
BASE = "tf-vaegan"


@dataclass(frozen=True)
class Measured:
    """One method's program and a function that trains ``ITERATIONS`` more iterations of each pass."""

    program: Program
    call: Callable[[], None]

    def row(self, name: str, timed: Timed, base: float) -> dict[str, Any]:
        """Its row of the table."""
        passes = self.program.passes
        steps = ITERATIONS * sum(len(one) for one in passes)
        spread = "-".join(f"{most(timed.seconds) / timed.median:.2f}" for most in (min, max))
        return {
            "method": name,
            "passes": len(passes),
            "steps per iteration": "+".join(str(len(one)) for one in passes),
            "steps/s": steps / timed.median,
            "iterations/s": ITERATIONS * len(passes) / timed.median,
            f"iterations/s, ratio to {BASE}": ITERATIONS * len(passes) / timed.median / base,
            "spread": spread,
        }


def generative_methods() -> list[str]:
    """The methods with a generator that reads the data set's own features."""
    declared = [one.declaration for one in registry().methods()]
    return [one.name for one in declared if one.generator and one.embedding == "identity"]


def recipe_of(method: str, batch_size: int) -> Recipe:
    """A method with its preset for CUB, where it has one, and a common batch size."""
    presets = registry().method(method).declaration.presets
    preset = "cub" if presets and "cub" in preset_names(presets) else None
    recipe = resolve(registry(), "sim-cub", method=method, preset=preset)
    if "generator.batch_size" in recipe.setting_names():
        recipe = recipe.with_settings({"generator.batch_size": batch_size})
    return recipe


def paced_program(fit: Fit, streams: Streams) -> Program:
    """The program that model selection follows, with preparatory networks as they start."""
    if isinstance(fit, Program):
        return fit
    assert not isinstance(fit, dict)
    part = next(fit)
    while not (isinstance(part, Program) and part.paced):
        made = part.compute() if isinstance(part, Derived) else part.initial(streams.child(part.name))
        part = fit.send(made)
    return part


def measured(method: str, batch_size: int, device: torch.device) -> Measured:
    """Prepare a method's program on random features."""
    random = torch.Generator().manual_seed(0)
    classes = SEEN + UNSEEN
    space = ClassSpace(
        names=tuple(f"class {one}" for one in range(classes)),
        semantics=torch.nn.functional.normalize(torch.rand(classes, ATTRIBUTES, generator=random)).to(device),
        seen=torch.arange(SEEN, device=device),
        unseen=torch.arange(SEEN, classes, device=device),
    )
    features = torch.rand(IMAGES, WIDTH, generator=random).to(device)
    view = TrainView(features, (torch.arange(IMAGES) % SEEN).to(device))
    part = recipe_of(method, batch_size).parts["generator"]
    streams = Streams(0, device)
    program = paced_program(load_class(part.registered)(part.settings, space).fit(view), streams)
    endless = replace(program, iterations=ITERATIONS, epochs=10**6)
    run = ProgramRun(endless, space.semantics, Training(streams, stage="benchmark"))

    def call() -> None:
        run.train_epoch()
        run.end_epoch(run.figures())

    return Measured(endless, call)


def main() -> None:
    """Prepare, time in turns, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", help=f"default: all generative ones; {BASE} is always timed")
    parser.add_argument("--repeats", type=int, default=5, help="turns (default 5)")
    parser.add_argument("--batch-size", type=int, default=64, help="images per step (default 64)")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(given.device)
    names = list(dict.fromkeys([BASE, *(given.methods or generative_methods())]))
    methods = {name: measured(name, given.batch_size, device) for name in names}
    times = interleaved({name: one.call for name, one in methods.items()}, given.repeats, device=device)
    base = ITERATIONS * len(methods[BASE].program.passes) / times[BASE].median
    rows = [one.row(name, times[name], base) for name, one in methods.items()]
    where = processor() if device.type == "cpu" else torch.cuda.get_device_name(device)
    write_page(
        RESULTS / "steps.md",
        "Training steps per second",
        f"Regenerate with `python -m benchmarks.steps`. Generated data of CUB's size: {IMAGES:,} images, "
        f"{WIDTH} features, {ATTRIBUTES} attributes, {SEEN} seen and {UNSEEN} unseen classes; each method "
        f"has the widths of its preset `cub` and batches of {given.batch_size}. An iteration does every step "
        f"of a pass once, for example five of the critic and one of the generator. Medians of "
        f"{given.repeats} turns in which all are timed; `spread`: the shortest and longest, relative to it.",
        render(rows, "markdown", decimals=2),
        f"Hardware: {where}, one thread, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"torch {torch.__version__}.",
    )


if __name__ == "__main__":
    main()
