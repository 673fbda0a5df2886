"""The check that what selection chooses is what is refitted."""

from __future__ import annotations

import copy
from collections.abc import Generator as Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from zslbench.errors import SettingsError
from zslbench.plugin.programs import Derived, Program
from zslbench.plugin.settings import ComponentSettings, build, schedule_of
from zslbench.plugin.streams import Streams
from zslbench.plugin.views import Networks
from zslbench.testing.check import leaves, require_same
from zslbench.testing.harness import ComponentCase, shortened
from zslbench.training.loop import Training, complete


def selected_is_refitted(case: ComponentCase) -> None:
    """Its one paced program is as long as its setting that is ``Epochs``; stopped after an epoch, it gives
    the networks that were evaluated then, and preparatory stages do not depend on that setting."""
    schedule = schedule_of(type(case.settings))
    if schedule is None:
        _Fitted(case)
        return
    whole = _Fitted(_as_long(case, schedule, 3), evaluated=True)
    stopped = _Fitted(_as_long(case, schedule, 3), until=2)
    kept = {net: whole.seen[1][net] for net in stopped.networks}
    fault = "a training that stops after epoch 2 differs from what was evaluated then ({}); keep no state"
    require_same(leaves(kept), leaves(stopped.networks), fault)
    other = _Fitted(_as_long(case, schedule, 4), until=1)
    fault = f"with another '{schedule}' a preparatory stage differs ({{}}); give it a setting of its own"
    require_same(leaves(whole.stages), leaves(other.stages), fault)


def _as_long(case: ComponentCase, schedule: str, epochs: int) -> ComponentCase:
    """The case with a schedule of so many epochs, if its settings allow that."""
    model: type[ComponentSettings] = type(case.settings)
    try:
        settings = build(model, case.settings.flat("python") | {schedule: epochs}, case.kind)
    except SettingsError:
        return case
    return replace(case, settings=settings)


@dataclass
class _Fitted:
    """A component that was fitted, each preparatory program for one epoch.

    Args:
        until: the epoch after which the paced program stops.
        evaluated: it was used after each epoch.
    """

    case: ComponentCase
    until: int | None = None
    evaluated: bool = False
    seen: list[Networks] = field(default_factory=list)
    """The networks that evaluations got."""
    stages: dict[str, Networks] = field(default_factory=dict)
    """The result of each preparatory stage, and its length."""

    def __post_init__(self) -> None:
        space = self.case.space()
        component = self.case.make(space)

        def on_epoch(epoch: int, nets: Networks) -> Mapping[str, float]:
            self.seen.append(copy.deepcopy(nets))
            self.case.use(component, nets, self.case.rows())
            return {}

        fit: Any = component.fit(self.case.view(space))
        if isinstance(fit, Coroutine):
            fit = self._noted(fit)
        training = Training(Streams(0, space.semantics.device), stage="check")
        found = complete(
            fit,
            space.semantics,
            training,
            on_epoch if self.evaluated else None,
            settings=component.settings,
            until=self.until,
        )
        self.networks = found.networks

    def _noted(
        self, fit: Coroutine[Program | Derived, Networks, Networks]
    ) -> Coroutine[Program | Derived, Networks, Networks]:
        try:
            part = next(fit)
            while True:
                is_paced = isinstance(part, Program) and part.paced
                nets = yield part if isinstance(part, Derived) or is_paced else shortened(part)
                if not is_paced:
                    epochs = part.epochs if isinstance(part, Program) else 0
                    self.stages[part.name] = {**nets, "its length": {"epochs": torch.tensor(epochs)}}
                part = fit.send(nets)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
