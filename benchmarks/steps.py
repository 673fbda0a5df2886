"""Training steps per second of the generative methods. Writes benchmarks/results/steps.md.

    python -m benchmarks.steps [--methods NAME ...] [--preset cpu] [--repeats 5] [--device cpu]

Every method trains on the same random features of CUB's size; a random layer guides SC-EGG's generator. Only
the paced program is timed; preparatory stages are left untrained. In the same turns, for comparison: a plain
loop, which calls the same losses, autograd and torch.optim and does nothing else; and the method with a
critic's scores from three products.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from benchmarks.common import RESULTS, Timed, interleaved, processor, write_page
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin import preset_names
from zslbench.plugin.discovery import registry
from zslbench.plugin.programs import Batch, Derived, Fit, Program
from zslbench.plugin.streams import Streams
from zslbench.plugin.targets import load_class
from zslbench.plugin.views import ClassSpace, Guide, TrainView
from zslbench.report import render
from zslbench.training import two_layer_gradient_penalty
from zslbench.training.context import Training
from zslbench.training.iteration import STATE, draw_noise, initial_networks, iterations, last_progress
from zslbench.training.program_run import ProgramRun
from zslbench_common import wgan
from zslbench_tf_vaegan import f_vaegan

IMAGES, SEEN, UNSEEN, ATTRIBUTES, WIDTH = 7057, 150, 50, 312, 2048
"""CUB's, with features of ResNet-101."""
ITERATIONS = 1
"""Of each pass, in one timed call."""
OURS, PLAIN, THREE = "zslbench", "plain loop", "three products"


@dataclass(frozen=True)
class Measured:
    """One method's program and functions that train ``ITERATIONS`` more iterations of each pass, by name."""

    program: Program
    calls: dict[str, Callable[[], None]]

    def row(self, method: str, times: dict[str, Timed]) -> dict[str, Any]:
        """Its row of the table; times are processor seconds."""
        passes = self.program.passes
        steps = ITERATIONS * sum(len(one) for one in passes)
        ours = times[f"{method}, {OURS}"].processor_seconds
        median = statistics.median(ours)

        def ratio(other: str) -> str:
            if f"{method}, {other}" not in times:
                return "–"
            ratios = [a / b for a, b in zip(ours, times[f"{method}, {other}"].processor_seconds, strict=True)]
            return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"

        return {
            "method": method,
            "images per step": self.program.batch_size,
            "steps per iteration": "+".join(str(len(one)) for one in passes),
            "steps/s": steps / median,
            "s per epoch": median / ITERATIONS * iterations(self.program),
            f"time / {PLAIN}": ratio(PLAIN),
            f"time / {THREE}": ratio(THREE),
        }


def generative_methods() -> list[str]:
    """The methods with a generator."""
    return [one.name for one in registry().methods() if one.declaration.generator]


def recipe_of(method: str, preset: str) -> Recipe:
    """A method with a preset, where it has it."""
    presets = registry().method(method).declaration.presets
    known = presets is not None and preset in preset_names(presets)
    return resolve(registry(), "sim-cub", method=method, preset=preset if known else None)


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


def plain_loop(program: Program, semantics: Tensor, streams: Streams) -> Callable[[], None]:
    """The same steps without the project's loop: no checkpoints, sums, named errors or lifting."""
    nets = initial_networks(program, streams)
    everything = {**nets, **program.frozen}
    optimizers = {}
    for name, rule in program.optimizers.items():
        tensors = [one.requires_grad_() for one in nets[name].values()]
        assert rule.kind == "adam", rule
        optimizers[name] = torch.optim.Adam(tensors, lr=rule.lr, betas=rule.betas, fused=True)
    at = last_progress(program, semantics.device)
    count = len(program.labels)

    def call() -> None:
        for steps in program.passes:
            for _ in range(ITERATIONS):
                for step in steps:
                    if step.fresh_batch:
                        rows = torch.randperm(count)[: step.batch_size or program.batch_size]
                        labels = program.labels[rows]
                        batch = Batch(program.features[rows], labels, semantics[labels], at)
                    losses = step.losses(everything, batch, draw_noise(step, len(rows), streams))
                    for optimizer in optimizers.values():
                        optimizer.zero_grad()
                    trained = [one for net in step.updates for one in nets[net].values()]
                    torch.autograd.backward(losses.total, inputs=trained)
                    for net in step.updates:
                        optimizers[net].step()
                    for name, value in (losses.state or {}).items():
                        nets[STATE][name].copy_(value.detach())

    return call


def three_products(
    net: wgan.Net, a: Tensor, real: Tensor, fake: Tensor, mix: Tensor
) -> tuple[Tensor, Tensor]:
    """:func:`zslbench.training.two_layer_critic` with a product each of real, fake and mixed rows."""
    wasserstein = wgan.criticise(net, real, a).mean() - wgan.criticise(net, fake, a).mean()
    return wasserstein, two_layer_gradient_penalty(net, a, real, fake, mix)


def measured(method: str, preset: str, device: torch.device) -> Measured:
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
    guide = Guide(
        {"guide": {"w": torch.rand(classes, WIDTH, generator=random).to(device)}},
        lambda nets, g: g @ nets["guide"]["w"].T,
    )
    view = TrainView(features, (torch.arange(IMAGES) % SEEN).to(device), guide=guide)
    part = recipe_of(method, preset).parts["generator"]
    streams = Streams(0, device)
    program = paced_program(load_class(part.registered)(part.settings, space).fit(view), streams)
    endless = replace(program, iterations=ITERATIONS, epochs=10**6)
    run = ProgramRun(endless, space.semantics, Training(streams, stage="benchmark"))

    def ours() -> None:
        run.train_epoch()
        run.end_epoch(run.figures())

    merged = 0

    def separate(*arguments: Any) -> tuple[Tensor, Tensor]:
        nonlocal merged
        merged += 1
        return three_products(*arguments)

    def before(function: Callable[..., Any]) -> None:
        name = "two_layer_critic"
        with patch.object(wgan, name, function), patch.object(f_vaegan, name, function):
            ours()

    before(separate)
    calls = {OURS: ours, PLAIN: plain_loop(endless, space.semantics, streams)}
    if merged:
        calls[THREE] = partial(before, three_products)
    return Measured(program, calls)


def product_gflops(rows: int) -> float:
    """GFLOP/s of a product of so many rows with a critic's first layer."""
    features, weight = torch.rand(rows, WIDTH), torch.rand(WIDTH, 256)
    timed = interleaved({"": lambda: [features @ weight for _ in range(50)]}, 9)[""].processor_seconds
    return 50 * 2 * rows * WIDTH * 256 / statistics.median(timed) / 1e9


def main() -> None:
    """Prepare, time in turns, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", help="default: all generative ones")
    parser.add_argument("--preset", default="cpu", help="settings of the methods that have it (default cpu)")
    parser.add_argument("--repeats", type=int, default=5, help="turns (default 5)")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(given.device)
    methods = {name: measured(name, given.preset, device) for name in given.methods or generative_methods()}
    calls = {f"{name}, {kind}": call for name, one in methods.items() for kind, call in one.calls.items()}
    times = interleaved(calls, given.repeats, device=device)
    rows = [one.row(name, times) for name, one in methods.items()]
    few, many = product_gflops(64), product_gflops(192)
    where = processor() if device.type == "cpu" else torch.cuda.get_device_name(device)
    write_page(
        RESULTS / "steps.md",
        "Training steps per second",
        f"Regenerate with `python -m benchmarks.steps`. Generated data of CUB's size: {IMAGES:,} images, "
        f"{WIDTH} features, {ATTRIBUTES} attributes, {SEEN} seen and {UNSEEN} unseen classes; each method "
        f"has the settings of its preset `{given.preset}`. An iteration does every step of a pass once, for "
        "example two of the critic and one of the generator; `s per epoch` is of all its passes.",
        f"Medians of processor time, of {given.repeats} turns in which all are timed. Ratios, "
        "with the lowest and highest, are those of the same turn; below 1 the project is faster. "
        f"`{PLAIN}`: the same losses with autograd and torch.optim and nothing else. `{THREE}`: "
        "as before, with one product each for a critic's scores of real, synthetic and interpolated "
        "features (methods without a critic: –).",
        render(rows, "markdown", decimals=2),
        f"A product of 64 rows with a critic's first layer ran at {few:.0f} GFLOP/s, one of 192 rows at "
        f"{many:.0f}. Minutes of whole runs on real data, validation and refit included: "
        "[real/table.md](real/table.md). SC-EGG beside a literal loop: `python -m benchmarks.speed`.",
        f"Hardware: {where}, one thread, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"torch {torch.__version__}.",
    )


if __name__ == "__main__":
    main()
