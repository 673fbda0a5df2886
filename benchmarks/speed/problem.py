"""What is measured: random features of the right sizes, and our programs on them in calls of one epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.speed.machine import Sizes
from benchmarks.speed.measuring import Work, counted
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin.discovery import registry
from zslbench.plugin.interfaces import Batch, ClassSpace, Networks, Program, Step, TrainView
from zslbench.plugin.streams import Streams
from zslbench.training.context import Training
from zslbench.training.program_run import ProgramRun
from zslbench.training.replicas.inputs import Request
from zslbench.training.replicas.lifted import LiftedRun
from zslbench.training.step import draw, step_function
from zslbench_sc_egg import networks
from zslbench_sc_egg.eggn import EGGN
from zslbench_sc_egg.scen import SCEN

MOMENTS = {"adam": 2, "rmsprop": 2, "sgd": 1}
"""Tensors of running state that an optimiser has for each parameter, at most."""


@dataclass(frozen=True)
class Problem:
    """Classes, features and settings."""

    sizes: Sizes
    device: torch.device
    space: ClassSpace
    view: TrainView
    recipe: Recipe
    scen: Networks
    """An untrained stage-1 embedding, and the range of its g."""

    @property
    def eggn(self) -> EGGN:
        return EGGN(self.recipe.parts["generator"].settings, self.space)

    @property
    def embedding(self) -> SCEN:
        return SCEN(self.recipe.parts["embedding"].settings, self.space)

    @property
    def program(self) -> Program:
        """Stage 3 with few iterations in each pass of an epoch, and endless epochs."""
        made = self.eggn.fit(self.view)
        assert isinstance(made, Program)
        return replace(made, iterations=self.sizes.iterations, epochs=10**6)

    @property
    def rows(self) -> Tensor:
        """Those of one batch."""
        return torch.arange(self.sizes.batch, device=self.device)

    def example(self, program: Program, step: Step, seed: int = 0) -> tuple[Batch, dict[str, Tensor]]:
        """A batch of these rows, and noise for a step."""
        labels, streams = program.labels[self.rows], Streams(seed, self.device)
        batch = Batch(program.features[self.rows], labels, self.space.semantics[labels])
        return batch, {name: draw(spec, len(labels), streams, name) for name, spec in step.noise.items()}

    def work(self, program: Program, nets: Networks) -> Work:
        """The least work of one sub-step, as the mean over all passes.

        Each network that a step reads is read once; weights and moments of those that it updates are read and
        written. Gradients and everything else could stay in a cache.
        """
        steps = [step for steps in program.passes for step in steps]
        everything = nets | program.frozen
        known = [tensor for net in everything.values() for tensor in net.values()]
        total = Work(0, 0)
        for step in steps:
            batch, noise = self.example(program, step)
            updated = sum(tensor.nbytes for name in step.updates for tensor in nets[name].values())
            moments = max(MOMENTS[program.optimizers[name].kind] for name in step.updates)
            # Weights are written once, each moment is read and written.
            call = partial(step_function(step), everything, batch, noise)
            total += counted(call, [*known, batch.features], written=(1 + 2 * moments) * updated)
        return total / len(steps)

    def epoch(self, program: Program, **options: Any) -> Callable[[], None]:
        """A function that trains one more epoch.

        Args:
            options: further fields of :class:`~zslbench.training.context.Training`.
        """
        training = Training(streams=Streams(0, self.device), stage="benchmark", **options)
        run = ProgramRun(program, self.space.semantics, training)

        def call() -> None:
            run.train_epoch()
            run.end_epoch(run.figures())

        return as_in_runs(call, self.device)

    def epoch_of_replicas(self, program: Program, count: int, **options: Any) -> Callable[[], None]:
        """The same for ``count`` seeds that train together."""
        trainings = [
            Training(streams=Streams(seed, self.device), stage="benchmark", **options)
            for seed in range(count)
        ]
        requests = {seed: Request(program, self.space.semantics, one) for seed, one in enumerate(trainings)}
        run = LiftedRun(requests, range(count), None)

        def call() -> None:
            run.train_epoch()
            for one in run.members.values():
                one.end_epoch(one.figures())

        return as_in_runs(call, self.device)


def problem(sizes: Sizes, device: torch.device) -> Problem:
    """Generate a problem: SC-EGG as in its authors' code for SUN, with networks of these sizes."""
    settings = {
        "generator.hidden": sizes.hidden,
        "generator.latent": sizes.attributes,
        "generator.batch_size": sizes.batch,
        "embedding.stage1.batch_size": sizes.batch,
    }
    recipe = resolve(
        registry(), "sim-sun", method="sc-egg", reading="authors", preset="sun", settings=settings
    )
    random = torch.Generator().manual_seed(0)
    classes = sizes.seen + sizes.unseen
    semantics = torch.nn.functional.normalize(torch.rand(classes, sizes.attributes, generator=random))
    vectors = torch.randn(sizes.attributes, 300, generator=random).to(device)
    space = ClassSpace(
        names=tuple(f"class {one}" for one in range(classes)),
        semantics=semantics.to(device),
        seen=torch.arange(sizes.seen, device=device),
        unseen=torch.arange(sizes.seen, classes, device=device),
        attribute_vectors=vectors,
    )
    features = torch.rand(sizes.images, sizes.width, generator=random).to(device)
    labels = (torch.arange(sizes.images) % sizes.seen).to(device)
    streams = Streams(0, device)
    scen_settings: Any = recipe.parts["embedding"].settings
    hidden = scen_settings.stage2.regressor_hidden
    scen = {
        **networks.initial_regressor(streams, sizes.width, hidden, classes),
        **networks.initial_len(streams, networks.unit(vectors), sizes.width, 0.01, 0.1),
        **networks.initial_gen(streams, sizes.attributes, sizes.width, classes, mean=False),
        "range": {
            "low": torch.zeros(sizes.width, device=device),
            "spread": torch.full((sizes.width,), 2.0 / sizes.width**0.5, device=device),
            "varies": torch.ones(sizes.width, device=device),
        },
    }
    view = TrainView(features=features, labels=labels, guide=SCEN(scen_settings, space).guide(scen))
    return Problem(sizes, device, space, view, recipe, scen)


def regions_of(sizes: Sizes) -> np.ndarray:
    """Region features of the stored images, (stored, regions, width), non-negative, float32."""
    random = np.random.default_rng(0)
    made = random.random((sizes.stored, sizes.regions, sizes.width), dtype=np.float32)
    made -= 0.5
    return np.maximum(made, 0, out=made)


class HostRegions:
    """Region features in the host's memory, laid out as in the published code: channels first, float32."""

    def __init__(self, regions: np.ndarray, device: torch.device) -> None:
        self.maps = torch.from_numpy(np.ascontiguousarray(regions.swapaxes(1, 2)))
        self.device = device

    def batch(self, rows: Tensor) -> Tensor:
        """Rows (b, width, regions) gathered and copied to the device."""
        return self.maps[rows.cpu() % len(self.maps)].to(self.device)


def as_in_runs(call: Callable[[], Any], device: torch.device) -> Callable[[], None]:
    """With deterministic algorithms on a GPU, as in runs; the literal loops do without."""
    settings: Any = torch.utils.deterministic

    def deterministic() -> None:
        torch.use_deterministic_algorithms(True, warn_only=True)
        settings.fill_uninitialized_memory = False
        try:
            call()
        finally:
            torch.use_deterministic_algorithms(False)
            settings.fill_uninitialized_memory = True

    return deterministic if device.type == "cuda" else call
