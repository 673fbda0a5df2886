"""Checks of methods: components, presets, variants, readings, searched settings, and a tiny run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from zslbench.data.locations import find_dataset
from zslbench.errors import PluginError, UnknownName, did_you_mean
from zslbench.evaluation.metrics import headline_metrics
from zslbench.evaluation.selection import Mode, Selection
from zslbench.experiment import pipeline
from zslbench.experiment.datasets import load_dataset
from zslbench.experiment.published import published_ablation
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.declarations import FULL, Method, Options, Variant
from zslbench.plugin.lookup import Registered, Registry
from zslbench.plugin.presets import preset_names, read_preset
from zslbench.plugin.settings import fields_of
from zslbench.plugin.streams import Streams
from zslbench.plugin.targets import settings_model
from zslbench.report.one_run import explain_settings
from zslbench.testing.check import Fault
from zslbench.testing.declared import heavy_import
from zslbench.training.loop import Training


@dataclass(frozen=True)
class Trial:
    """A method with the data set and settings that it is tried with."""

    registry: Registry
    registered: Registered[Method]
    dataset: str = "toy"
    settings: Mapping[str, Any] = field(default_factory=dict)
    data_root: Path | None = None

    @property
    def method(self) -> Method:
        return self.registered.declaration

    def recipe(
        self,
        variant: str | None = None,
        *,
        reading: str | None = None,
        preset: str | None = None,
        dataset: str = "",
    ) -> Recipe:
        """The resolved recipe, without the trial's settings."""
        return resolve(
            self.registry,
            dataset or self.dataset,
            method=self.method.name,
            variant=variant,
            reading=reading,
            preset=preset,
            data_root=self.data_root,
        )

    def small(self, variant: str | None = None) -> Recipe:
        """The recipe with those of the trial's settings that its components have."""
        recipe = self.recipe(variant)
        if variant is None:
            return recipe.with_settings(self.settings)
        known = {
            f"{kind}.{name}" for kind, part in recipe.parts.items() for name in fields_of(type(part.settings))
        }
        return recipe.with_settings({key: value for key, value in self.settings.items() if key in known})

    @cached_property
    def data(self) -> Dataset:
        """The data set of the tiny runs, read once."""
        return load_dataset(self.small().parts["dataset"], root=self.data_root, features=None, semantics=None)

    def run(self, recipe: Recipe, mode: Mode) -> dict[str, Any]:
        """The figures of one seed; nothing is stored."""
        outcome = pipeline.run(recipe, self.data, Selection(mode), Training(Streams(0)))
        return dict(outcome.metrics)


def method_declared(trial: Trial) -> None:
    """The summary is one line."""
    if not trial.method.summary.strip() or "\n" in trial.method.summary:
        raise Fault("the summary is empty or has several lines; listings show one")


def components_exist(trial: Trial) -> None:
    """Every component that the method or a variant names is registered."""
    options: tuple[Variant | None, ...] = (None, *trial.method.variants)
    for variant in options:
        for kind, name in trial.registry.missing(trial.method, variant):
            where = f"variant '{variant.name}': " if variant else ""
            raise Fault(f"{where}no {kind} '{name}' is registered")


def settings_valid(trial: Trial) -> None:
    """The method's own settings exist in its components and have valid values."""
    trial.recipe()


def presets_valid(trial: Trial) -> None:
    """Every preset can be read, and its settings are valid under each reading and with each variant."""
    package = trial.method.presets
    names = preset_names(package)
    if package is not None and not names:
        raise Fault(f"package {package} holds no preset; ship its TOML files, or declare presets=None")
    for name in names:
        for key in read_preset(package, name).settings:
            kind, _, setting = key.partition(".")
            chosen = trial.registry.composition(trial.method).get(kind)  # type: ignore[call-overload]
            if kind != "dataset" and chosen is None:
                raise Fault(f"preset '{name}' sets {key}, but the method has no {kind}")
            if chosen is not None and setting not in fields_of(settings_model(chosen)):
                raise Fault(f"preset '{name}': {kind} '{chosen.name}' has no setting '{setting}'")
        for reading, variant in overlays(trial.method):
            try:
                trial.recipe(variant, reading=reading, preset=name, dataset=_dataset_of(trial, name))
            except Exception as error:
                raise Fault(f"preset '{name}'{where_of(reading, variant)}: {error}") from error


def overlays(method: Method) -> list[tuple[str | None, str | None]]:
    """Every reading with every variant, and with none; the default reading is not named."""
    readings = (None, *(one.name for one in method.readings[1:]))
    variants = (None, *(one.name for one in method.variants))
    return [(reading, variant) for reading in readings for variant in variants]


def where_of(reading: str | None, variant: str | None) -> str:
    """For a message: ``" in reading 'authors' with variant 'small'"``."""
    reading = f" in reading '{reading}'" if reading else ""
    return reading + (f" with variant '{variant}'" if variant else "")


def _dataset_of(trial: Trial, preset: str) -> str:
    """A preset is named after the data set that it is for; others are tried on the trial's."""
    try:
        return find_dataset(trial.registry, preset, root=trial.data_root).name
    except UnknownName:
        return trial.dataset


def variants_resolve(trial: Trial) -> None:
    """Every variant resolves, says in one line what it is, and changes something (unless named ``full``)."""
    base = content(trial.recipe())
    for variant in trial.method.variants:
        if not variant.summary.strip() or "\n" in variant.summary:
            raise Fault(f"variant '{variant.name}': the summary is empty or has several lines")
        try:
            recipe = trial.recipe(variant.name)
        except Exception as error:
            raise Fault(f"variant '{variant.name}': {error}") from error
        if content(recipe) == base and (variant.name != FULL or variant.settings or variant.components):
            raise Fault(f"variant '{variant.name}' changes nothing")


def content(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe its results depend on."""
    return {kind: (part.name, part.values()) for kind, part in recipe.parts.items()}


def search_valid(trial: Trial) -> None:
    """Searched and tunable settings exist and take their values, and no candidate is offered twice."""
    for key, candidates in trial.method.search.items():
        if len({repr(one) for one in candidates}) < len(candidates):
            raise Fault(f"search offers a candidate of '{key}' twice")
    for _ in trial.recipe().candidates():
        pass
    if trial.method.tunable:
        for key, space in trial.method.tunable.items():
            values = space.values if isinstance(space, Options) else (space.low, space.high)
            for value in values:
                trial.recipe().with_settings({key: value})


def runs(trial: Trial) -> None:
    """A tiny run of one seed, model selection on validation included, ends with sensible figures."""
    _sensible(trial, trial.run(trial.small(), "val"))


def repeats(trial: Trial) -> None:
    """Two tiny runs of one seed give the same figures."""
    first, second = (trial.run(trial.small(), "last") for _ in range(2))
    if first != second:
        keys = sorted(key for key in first if first[key] != second[key])
        raise Fault(f"two runs of the same seed differ in {', '.join(keys)}")


def variants_run(trial: Trial) -> None:
    """A tiny run of every variant ends with sensible figures."""
    for variant in trial.method.variants:
        try:
            _sensible(trial, trial.run(trial.small(variant.name), "last"))
        except Exception as error:
            raise Fault(f"variant '{variant.name}': {error}") from error


def _sensible(trial: Trial, figures: Mapping[str, Any]) -> None:
    for metric in headline_metrics():
        if metric.group.lower() not in trial.method.tasks:
            continue
        value = figures.get(metric.key)
        if (
            not isinstance(value, float)
            or not math.isfinite(value)
            or (metric.percent and not 0 <= value <= 1)
        ):
            raise Fault(f"{metric.key} is {value!r}, not a fraction between 0 and 1")


# --- readings, explanations, published figures ---------------------------------------------------


def readings_resolve(trial: Trial) -> None:
    """Every reading resolves, alone and with each variant, says in one line what it is, and is different."""
    found: dict[str, dict[str, Any]] = {}
    for reading in trial.method.readings:
        where = f"reading '{reading.name}'"
        if not reading.summary.strip() or "\n" in reading.summary:
            raise Fault(f"{where}: the summary is empty or has several lines")
        composition = trial.registry.composition(trial.method)
        for key in reading.settings:
            if composition.get(key.partition(".")[0], True) is None:  # type: ignore[call-overload]
                raise Fault(f"{where} sets {key}, which the method does not have")
        for variant in (None, *(one.name for one in trial.method.variants)):
            try:
                recipe = trial.recipe(variant, reading=reading.name)
            except Exception as error:
                raise Fault(f"{where}{where_of(None, variant)}: {error}") from error
            if variant is None:
                found[reading.name] = content(recipe)
    names = list(found)
    for place, name in enumerate(names):
        for other in names[:place]:
            twins = [
                one for one in preset_names(trial.method.presets) if one.endswith((f"-{name}", f"-{other}"))
            ]
            if found[name] == found[other] and not twins:
                raise Fault(f"readings '{other}' and '{name}' are the same")


def explains(trial: Trial) -> None:
    """``explain`` gives rows for the settings of every reading and variant, and imports nothing heavy."""
    target = trial.method.explain
    if target is None:
        return
    for reading, variant in overlays(trial.method):
        recipe = trial.recipe(variant, reading=reading)
        try:
            explain_settings(trial.registered, {kind: part.values() for kind, part in recipe.parts.items()})
        except PluginError as error:
            raise Fault(f"{error}{where_of(reading, variant)}") from error
    if fault := heavy_import((target.partition(":")[0],)):
        raise Fault(f"explain {target}: {fault}")


def published_figures(trial: Trial) -> None:
    """The published figures can be read, and are of the method's own variants and of the whole."""
    found = published_ablation(trial.method)
    variants = {variant for variant, _ in found}
    declared = {one.name for one in trial.method.variants} | {FULL}
    if unknown := sorted(variants - declared):
        raise Fault(f"published figures of '{unknown[0]}', {did_you_mean(unknown[0], declared)}")
    for dataset in sorted({dataset for _, dataset in found}):
        if (FULL, dataset) not in found:
            raise Fault(f"published figures on {dataset}: none of the whole method, '{FULL}'")
