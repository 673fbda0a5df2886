"""What is measured: random features of the right sizes, and our programs on them in calls of one epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.speed.machine import Sizes
from benchmarks.speed.measuring import Work, counted
from zslbench.experiment.job import applied, choose_mode
from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry
from zslbench.plugin.programs import Batch, Program, Step
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import ClassSpace, Networks, TrainView
from zslbench.training import unit
from zslbench.training.context import Training
from zslbench.training.graphs import Graphs
from zslbench.training.program_run import ProgramRun
from zslbench.training.replicas.lifted import LiftedRun, MemberRun
from zslbench.training.step import Precision, draw, step_function
from zslbench_common.embeddings import fit_range
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
    embedding: SCEN
    scen: Networks
    """An untrained stage-1 embedding, and the range of its g."""
    eggn: EGGN
    rows: Tensor
    """The row numbers of one batch."""

    @property
    def program(self) -> Program:
        """Stage 3 with few iterations in each pass of an epoch, and endless epochs."""
        return replace(self.eggn.fit(self.view), iterations=self.sizes.iterations, epochs=10**6)

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

    def epoch(
        self,
        program: Program,
        *,
        replicas: int = 0,
        precision: Precision = "float32",
        graphs: Graphs | None = None,
    ) -> Callable[[], None]:
        """A function that trains one more epoch, with the process set up as in runs.

        Args:
            replicas: seeds that are lifted and train together; 0: one seed, not lifted.
        """
        mode, semantics = choose_mode(self.device.type, precision=precision), self.space.semantics
        trainings = [
            Training(Streams(seed, self.device), stage="benchmark", precision=precision, graphs=graphs)
            for seed in range(replicas or 1)
        ]
        if replicas:
            together = {seed: MemberRun(program, semantics, one) for seed, one in enumerate(trainings)}
            run: ProgramRun = LiftedRun(together, range(replicas), None)
            members: list[ProgramRun | MemberRun] = [*together.values()]
        else:
            run = ProgramRun(program, semantics, trainings[0])
            members = [run]

        def call() -> None:
            with applied(mode):
                run.train_epoch()
                for one in members:
                    one.end_epoch(one.figures())

        return call


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
    embedding = SCEN(recipe.parts["embedding"].settings, space)
    hidden = embedding.settings.stage2.regressor_hidden
    scen = {
        **networks.initial_regressor(streams, sizes.width, hidden, classes),
        **networks.initial_len(streams, unit(vectors), sizes.width, 0.01, 0.1),
        **networks.initial_gen(streams, sizes.attributes, sizes.width, classes, released=True),
        "range": fit_range(
            torch.tensor([[0.0], [2 / sizes.width**0.5]], device=device).expand(2, sizes.width)
        ),
    }
    view = TrainView(features=features, labels=labels, guide=embedding.guide(scen))
    eggn = EGGN(recipe.parts["generator"].settings, space)
    rows = torch.arange(sizes.batch, device=device)
    return Problem(sizes, device, space, view, embedding, scen, eggn, rows)


def regions_of(sizes: Sizes) -> np.ndarray:
    """Region features of the stored images, (stored, regions, width), non-negative, float32."""
    random = np.random.default_rng(0)
    made = random.random((sizes.stored, sizes.regions, sizes.width), dtype=np.float32)
    made -= 0.5
    return np.maximum(made, 0, out=made)


def on_the_host(regions: np.ndarray, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Keep region features in the host's memory as the published code does: channels first, float32.

    Returns a function that gathers rows and copies them to the device: maps (b, width, regions).
    """
    maps = torch.from_numpy(np.ascontiguousarray(regions.swapaxes(1, 2), dtype=np.float32))
    return lambda rows: maps[rows.cpu() % len(maps)].to(device)
