"""The component under check, and fitting it on tiny inputs."""

from __future__ import annotations

import random
from collections.abc import Generator as Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslbench.evaluation.folds import unseen_space
from zslbench.plugin.declarations import Component
from zslbench.plugin.interfaces import ClassSpace, Derived, Fit, Networks, Program, TrainView
from zslbench.plugin.lookup import Registered
from zslbench.plugin.settings import ComponentSettings
from zslbench.plugin.streams import Streams
from zslbench.plugin.targets import load_class
from zslbench.testing.inputs import TinyInputs
from zslbench.training.loop import Training, complete
from zslbench.training.stages import Stages

EPOCHS = 1
"""Longest training of any program under check; an epoch goes through each of its passes."""


@dataclass(frozen=True)
class Subject:
    """A component with the settings and inputs that it is checked with."""

    registered: Registered[Component]
    settings: ComponentSettings
    inputs: TinyInputs = field(default_factory=TinyInputs)
    device: str = "cpu"

    @property
    def kind(self) -> str:
        return self.registered.declaration.kind

    @property
    def cls(self) -> Any:
        """The component's class."""
        return load_class(self.registered)

    def space(self, data: int = 0) -> ClassSpace:
        return self.inputs.space(data, self.device)

    def make(self, space: ClassSpace | None = None) -> Any:
        """A new instance."""
        return self.cls(self.settings, space or self.space())

    def view(self, space: ClassSpace, data: int = 0) -> TrainView:
        """What ``fit`` is given."""
        if self.kind == "embedding":
            return self.inputs.raw_view(space, data)
        if self.kind == "generator":
            return self.inputs.view(space, space.seen, data, guide=True)
        everything = torch.arange(len(space.names), device=space.semantics.device)
        return self.inputs.view(space, everything if self.cls.needs_examples else space.seen, data)

    def small_space(self) -> ClassSpace:
        """The unseen classes alone."""
        return unseen_space(self.space())

    def rows(self, data: int = 1) -> Tensor:
        """What ``embed``, ``transform`` or ``scores`` is given: images that were not fitted on."""
        view = self.view(self.space(data), data)
        if self.kind == "embedding" and self.cls.inputs == "regions":
            assert view.regions is not None
            return view.regions[torch.arange(len(view.labels), device=view.labels.device)]
        return view.features

    def fit(self, seed: int = 0, data: int = 0) -> tuple[Any, Networks]:
        """A new component and its networks, fitted with short training."""
        space = self.space(data)
        component = self.make(space)
        return component, finish(component.fit(self.view(space, data)), space, seed)

    @cached_property
    def _once(self) -> Networks:
        return self.fit()[1]

    def fitted(self) -> tuple[Any, Networks]:
        """A component that has not been fitted itself, and a copy of the networks that another one fitted."""
        nets = {net: {name: t.clone() for name, t in ts.items()} for net, ts in self._once.items()}
        return self.make(), nets

    def programs(self, seed: int = 0, data: int = 0) -> list[Program]:
        """The programs that ``fit`` gives, none for a closed form."""
        space = self.space(data)
        fit = self.make(space).fit(self.view(space, data))
        if isinstance(fit, dict | Program):
            return [fit] if isinstance(fit, Program) else []
        # A generator function's later programs build on what the earlier ones trained.
        seen: list[Program] = []
        finish(fit, space, seed, seen)
        return seen


def finish(
    fit: Fit, space: ClassSpace, seed: int, seen: list[Program] | None = None, stages: Stages | None = None
) -> Networks:
    """Run what ``fit`` gave to its networks; programs are appended to ``seen``."""
    training = Training(Streams(seed, space.semantics.device), stage="check", stages=stages)
    return complete(_shortened(fit, [] if seen is None else seen), space.semantics, training).networks


def _shortened(fit: Fit, seen: list[Program]) -> Fit:
    if isinstance(fit, dict):
        return fit
    if isinstance(fit, Program):
        seen.append(fit)
        return replace(fit, epochs=min(fit.epochs, EPOCHS))
    return _each_shortened(fit, seen)


def _each_shortened(
    fit: Coroutine[Program | Derived, Networks, Networks], seen: list[Program]
) -> Coroutine[Program | Derived, Networks, Networks]:
    try:
        part = next(fit)
        while True:
            if isinstance(part, Program):
                seen.append(part)
                part = replace(part, epochs=min(part.epochs, EPOCHS))
            part = fit.send((yield part))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


@contextmanager
def global_seed(seed: int, numpy: int | None = None, python: int | None = None) -> Iterator[None]:
    """Seed the global generators of torch, numpy and random, and put their states back afterwards.

    Args:
        seed: torch's, and that of the others where they have none of their own.
    """
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        torch.manual_seed(seed)
        np.random.seed(seed if numpy is None else numpy)  # noqa: NPY002
        random.seed(seed if python is None else python)
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])
