"""What stage 3 and the classifier are measured on: random features of the right sizes, and their programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.speed.sizes import Sizes
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin.discovery import registry
from zslbench.plugin.interfaces import ClassSpace, Networks, Program, Streams, TrainView
from zslbench_sc_egg import networks
from zslbench_sc_egg.eggn import EGGN
from zslbench_sc_egg.scen import SCEN
from zslbench_sc_egg.settings import SCENSettings


@dataclass(frozen=True)
class Problem:
    """Classes, features and settings."""

    sizes: Sizes
    device: torch.device
    space: ClassSpace
    view: TrainView
    recipe: Recipe
    scen: Networks
    """A stage-1 embedding, with weights as they are before training, and the range of its g."""

    @property
    def eggn(self) -> EGGN:
        return EGGN(self.recipe.parts["generator"].settings, self.space)

    @property
    def embedding(self) -> SCEN:
        return SCEN(self.recipe.parts["embedding"].settings, self.space)

    def program(self, iterations: int) -> Program:
        """Stage 3 with so many iterations in each pass of an epoch, and epochs without end."""
        made = self.eggn.fit(self.view)
        assert isinstance(made, Program)
        return replace(made, iterations=iterations, epochs=10**6)

    @property
    def sub_steps(self) -> int:
        """Critic and generator steps of one iteration."""
        return len(self.program(1).passes[0])

    @property
    def passes(self) -> int:
        return len(self.program(1).passes)


def recipe_for(sizes: Sizes, more: Sequence[tuple[str, Any]] = ()) -> Recipe:
    """SC-EGG as its authors' code has it on SUN, with networks of these sizes."""
    settings: dict[str, Any] = {
        "generator.hidden": sizes.hidden,
        "generator.latent": sizes.attributes,
        "generator.batch_size": sizes.batch,
        "generator.per_class": sizes.per_class,
        "embedding.stage1.batch_size": sizes.batch,
        "embedding.stage2.batch_size": sizes.batch,
        "classifier.epochs": sizes.classifier_epochs,
        "classifier.batch_size": sizes.per_class,
        **dict(more),
    }
    return resolve(registry(), "sim-sun", method="sc-egg", reading="authors", preset="sun", settings=settings)


def problem(sizes: Sizes, device: torch.device) -> Problem:
    """Draw it."""
    random = torch.Generator().manual_seed(0)
    classes = sizes.seen + sizes.unseen
    semantics = torch.nn.functional.normalize(torch.rand(classes, sizes.attributes, generator=random))
    vectors = torch.randn(sizes.attributes, 300, generator=random)
    space = ClassSpace(
        names=tuple(f"class {one}" for one in range(classes)),
        semantics=semantics.to(device),
        seen=torch.arange(sizes.seen, device=device),
        unseen=torch.arange(sizes.seen, classes, device=device),
        attribute_vectors=vectors.to(device),
    )
    features = torch.rand(sizes.images, sizes.width, generator=random).to(device)
    labels = (torch.arange(sizes.images) % sizes.seen).to(device)
    recipe = recipe_for(sizes)
    streams = Streams(0, device)
    regressor = networks.initial_regressor(
        streams, sizes.width, _scen_settings(recipe).stage2.regressor_hidden, classes
    )
    scen = {
        **networks.initial_len(
            streams,
            networks.unit(vectors.to(device)),
            sizes.width,
            0.01,
            0.1,
        ),
        **networks.initial_gen(streams, sizes.attributes, sizes.width, classes, mean=False),
        **regressor,
        "range": {
            "low": torch.zeros(sizes.width, device=device),
            "spread": torch.full((sizes.width,), 2.0 / sizes.width**0.5, device=device),
            "varies": torch.ones(sizes.width, device=device),
        },
    }
    guide = SCEN(recipe.parts["embedding"].settings, space).guide(scen)
    view = TrainView(features=features, labels=labels, guide=guide)
    return Problem(sizes, device, space, view, recipe, scen)


def _scen_settings(recipe: Recipe) -> SCENSettings:
    settings = recipe.parts["embedding"].settings
    assert isinstance(settings, SCENSettings)
    return settings


def regions_of(sizes: Sizes) -> np.ndarray:
    """Region features of the kept images, (stored, regions, width), non-negative, float32."""
    random = np.random.default_rng(0)
    made = random.random((sizes.stored, sizes.regions, sizes.width), dtype=np.float32)
    made -= 0.5
    return np.maximum(made, 0, out=made)


class HostRegions:
    """Region features in the host's memory as the published code keeps them: channels first, float32."""

    def __init__(self, regions: np.ndarray, device: torch.device) -> None:
        self.maps = torch.from_numpy(np.ascontiguousarray(regions.swapaxes(1, 2)))
        self.device = device

    def batch(self, rows: Tensor) -> Tensor:
        """Rows (b, width, regions) gathered and copied to the device."""
        return self.maps[rows.cpu() % len(self.maps)].to(self.device)


class Repooled:
    """Features that are pooled anew from region features each time they are asked for.

    Stands in for a program's features: it has as many rows as there are images, and takes the regions of
    those that are kept in turns.
    """

    def __init__(self, problem: Problem, host: HostRegions) -> None:
        self._problem, self._host = problem, host

    def __len__(self) -> int:
        return len(self._problem.view.labels)

    def __getitem__(self, rows: Tensor) -> Tensor:
        regions = self._host.batch(rows).transpose(1, 2)
        return self._problem.embedding.embed(self._problem.scen, regions)
