"""SC-EGG on data so small that a whole run takes about a second; ``reference`` has its equations by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

import zslbench
from zslbench.experiment.recipe import resolve
from zslbench.plugin import fields_of
from zslbench.plugin.discovery import registry
from zslbench.plugin.programs import Derived, Program
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import ClassSpace, Networks, TrainView
from zslbench.store.record import RunRecord
from zslbench.testing import TinyInputs
from zslbench.training.loop import Training, derive, train
from zslbench_sc_egg.scen import SCEN

sys.path.insert(0, str(Path(__file__).parent / "reference"))  # the tests name it by ``import sc_egg_by_hand``
from scen_for import scen_for

INPUTS = TinyInputs(regions=5, channels=7, attributes=5)
SHORT = {"epochs": 2, "batch_size": 8, "lr": 1e-2}

SMALL: dict[str, Any] = {
    "dataset.classes": 10,
    "dataset.unseen": 3,
    "dataset.images_per_class": 15,
    "dataset.attributes": 10,
    "dataset.channels": 12,
    "embedding.stage1.epochs": 2,
    "embedding.stage1.iterations": 3,
    "embedding.stage1.batch_size": 16,
    "embedding.stage2.epochs": 2,
    "embedding.stage2.iterations": 3,
    "embedding.stage2.batch_size": 16,
    "generator.hidden": 16,
    "generator.batch_size": 64,
    "generator.per_class": 10,
    "generator.critic_steps": 2,
    "classifier.epochs": 2,
    "classifier.batch_size": 30,
}


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@dataclass
class Fitted:
    """A SCEN taken through its stages one at a time."""

    scen: SCEN
    view: TrainView
    networks: Networks
    parts: dict[str, Program | Derived] = field(default_factory=dict)
    after: dict[str, Networks] = field(default_factory=dict)  # SCEN adds to what it is sent, hence copies
    """What each part gave, by its name."""

    @property
    def regions(self) -> torch.Tensor:
        assert self.view.regions is not None
        return self.view.regions[torch.arange(len(self.view.labels))]

    @property
    def g(self) -> torch.Tensor:
        """g of the training images."""
        return self.scen.embed(self.networks, self.regions)


def scen_before(space: ClassSpace, view: TrainView, seed: int = 0, **settings: Any) -> Networks:
    """SCEN's networks before stage 1."""
    stage1 = next(scen_for(space, **(SHORT | settings)).fit(view))
    return stage1.initial(Streams(seed))


def scen_fitted(
    space: ClassSpace | None = None, view: TrainView | None = None, seed: int = 0, **settings: Any
) -> Fitted:
    space = space or INPUTS.space()
    view = view or INPUTS.raw_view(space)
    scen = scen_for(space, **(SHORT | settings))
    fitted = Fitted(scen, view, {})
    stages, training = scen.fit(view), Training(Streams(seed))
    part = next(stages)
    try:
        while True:
            one = training.child(part.name)
            nets = (
                derive(part, one) if isinstance(part, Derived) else train(part, space.semantics, one).networks
            )
            fitted.parts[part.name], fitted.after[part.name] = part, dict(nets)
            part = stages.send(nets)
    except StopIteration as stop:
        fitted.networks = stop.value
    return fitted


@pytest.fixture
def fit_scen() -> Callable[..., Fitted]:
    """SCEN fitted on tiny inputs, with short stages; keyword arguments are settings."""
    return scen_fitted


@pytest.fixture
def before() -> Callable[..., Networks]:
    return scen_before


def fitting(settings: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Those of the settings that the components of a method, variant or composition have."""
    components = {kind: options.get(kind) for kind in ("embedding", "generator", "classifier")}
    names = {name: options.get(name) for name in ("method", "variant", "reading")}
    parts = resolve(registry(), "toy", components=components, **names).parts
    known = {f"{kind}.{name}" for kind, part in parts.items() for name in fields_of(type(part.settings))}
    return {name: value for name, value in settings.items() if name in known}


@pytest.fixture(scope="session")
def small_settings() -> Callable[..., dict[str, Any]]:
    """The small settings of a method, variant or composition on toy."""
    return lambda **options: fitting(SMALL, **options)


@pytest.fixture(scope="session")
def run_in() -> Callable[..., RunRecord]:
    """sc-egg on a tiny toy, without selection; ``settings`` are added to the small ones that apply."""

    def run(store: Path, settings: dict[str, Any] | None = None, **options: Any) -> RunRecord:
        options = {"method": "sc-egg", "epochs": 2, "select": "last", "threads": 1} | options
        settings = fitting(SMALL, **options) | (settings or {})
        done = zslbench.run(**options, dataset="toy", settings=settings, store=store, device="cpu")
        return done.records[0]

    return run


@pytest.fixture
def small_run(tmp_path: Path, run_in: Callable[..., RunRecord]) -> Callable[..., RunRecord]:
    """The same in a store of the test's own."""

    def run(settings: dict[str, Any] | None = None, **options: Any) -> RunRecord:
        return run_in(options.pop("store", tmp_path), settings, **options)

    return run
