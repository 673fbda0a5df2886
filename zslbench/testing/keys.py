"""Checks of what a component says that its stages depend on (``Program.key``, ``Derived.key``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from torch import Tensor

from zslbench.errors import SettingsError
from zslbench.plugin.settings import ComponentSettings, build
from zslbench.store.stages import StageStore
from zslbench.testing.bits import differing, leaves, listed
from zslbench.testing.check import Fault
from zslbench.testing.subject import Subject, finish
from zslbench.training.stages import Stages


def reuse_changes_nothing(subject: Subject) -> None:
    """A component that finds the stages of one with another setting ends with the networks it would train."""
    # Each setting is changed in turn: one that a key leaves out, though the stage reads it, shows.
    kept = _InMemory()
    space = subject.space()
    finish(subject.make(space).fit(subject.view(space)), space, 0, stages=Stages(kept, {}))
    if not kept.content:
        return
    for name, settings in changed_settings(subject.settings):
        results = []
        for stages in (Stages(_InMemory(dict(kept.content)), {}), None):
            component = subject.cls(settings, space)
            results.append(finish(component.fit(subject.view(space)), space, 0, stages=stages))
        if wrong := differing(*map(leaves, results)):
            raise Fault(
                f"with another '{name}' a stage of the old setting is used again and gives other networks "
                f"({listed(wrong)}); name '{name}' in the key of the program or derived tensors that read it"
            )


def changed_settings(settings: ComponentSettings) -> Iterator[tuple[str, ComponentSettings]]:
    """The settings with one of them changed, for each that has another valid value."""
    model = type(settings)
    for name, info in model.model_fields.items():
        for value in _others(getattr(settings, name), info.annotation):
            try:
                yield name, build(model, settings.model_dump() | {name: value}, name)
                break
            except SettingsError:
                continue


def _others(value: Any, annotation: Any) -> list[Any]:
    kinds = [annotation, *get_args(annotation)]
    literals = [one for kind in kinds if get_origin(kind) is Literal for one in get_args(kind)]
    if literals:
        return [one for one in literals if one != value]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 1.5 + 0.1, value / 2]
    if value is None and int in kinds:
        return [3]
    return [0.5] if value is None and float in kinds else []


class _InMemory(StageStore):
    """Kept results that are gone with the check."""

    def __init__(self, content: dict[str, tuple[dict[str, Tensor], dict[str, Any]]] | None = None) -> None:
        super().__init__(Path())
        self.content = {} if content is None else content

    def find(self, key: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        if key not in self.content:
            return None
        tensors, facts = self.content[key]
        return {name: t.clone() for name, t in tensors.items()}, facts

    def keep(self, key: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        self.content[key] = ({name: t.clone() for name, t in tensors.items()}, dict(facts))
