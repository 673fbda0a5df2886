"""Checks of what components and methods declare, and of tiny runs of methods."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import combinations, product
from pathlib import Path
from typing import Any

from zslbench.data.named import find_dataset
from zslbench.errors import PluginError, UnknownName, ZslbenchError, did_you_mean
from zslbench.evaluation.metrics import headline_metrics
from zslbench.evaluation.selection import Mode, Selection
from zslbench.experiment import pipeline
from zslbench.experiment.datasets import load_dataset
from zslbench.experiment.fitting import embedding_needs
from zslbench.experiment.published import published_ablation
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.declarations import FULL, Component, Method, Options
from zslbench.plugin.lookup import Registered, Registry
from zslbench.plugin.presets import preset_names, read_preset
from zslbench.plugin.settings import fields_of, groups_of
from zslbench.plugin.streams import Streams
from zslbench.plugin.targets import load_class, settings_model
from zslbench.report.one_run import explain_settings
from zslbench.testing.check import Fault, require
from zslbench.training.loop import Training

_HEAVY = ("torch", "pandas", "sklearn", "scipy", "jaxtyping", "h5py")
_LISTING = f"""
import importlib, sys
for module in sys.argv[1:]:
    importlib.import_module(module)
    heavy = [one for one in {_HEAVY!r} if one in sys.modules]
    if heavy:
        sys.exit("importing " + module + " imports " + ", ".join(heavy))
"""


def declaration(registered: Registered[Component]) -> None:
    """The summary is one line, and the class can be imported and implements its kind's interface."""
    require_summary(registered.declaration.summary)
    load_class(registered)


def require_summary(summary: str, where: str = "") -> None:
    """A summary is one line of text; ``where`` is a prefix of the fault."""
    require(summary.strip(), f"{where}the summary is empty; listings show it")
    require("\n" not in summary, f"{where}the summary has several lines; listings show one")


def settings_documented(registered: Registered[Component]) -> None:
    """The settings are frozen, refuse unknown keys, and every field has a default and a description."""
    model = settings_model(registered)
    for one in (model, *groups_of(model).values()):
        advice = "do not change the model_config of ComponentSettings and SettingsGroup"
        require(one.model_config.get("frozen"), f"{one.__name__} is not frozen; {advice}")
        require(one.model_config.get("extra") == "forbid", f"{one.__name__} accepts unknown keys; {advice}")
    for name, setting in {**model.model_fields, **fields_of(model)}.items():
        require(not setting.is_required(), f"setting '{name}' has no default; runs without a preset need one")
        described = (setting.description or "").strip()
        require(described, f"setting '{name}' has no description; write a docstring below the field")


def settings_round_trip(registered: Registered[Component]) -> None:
    """The default settings survive being written as JSON and read back."""
    model = settings_model(registered)
    defaults = model()
    back = model.model_validate_json(defaults.model_dump_json())
    for name in model.model_fields:
        before, after = getattr(defaults, name), getattr(back, name)
        require(before == after, f"setting '{name}' is {before!r}, but {after!r} when read back from JSON")


def cheap_to_list(registered: Registered[Component]) -> None:
    """Importing the plugin's module and the settings' module does not import torch or other heavy
    libraries."""
    modules = [registered.plugin.module]
    if registered.declaration.settings is not None:
        modules.append(registered.declaration.settings.partition(":")[0])
    if fault := heavy_import(tuple(modules)):
        raise Fault(f"{fault}; this slows down every command that lists plugins")


@cache
def heavy_import(modules: tuple[str, ...]) -> str:
    """Which heavy library a fresh interpreter imports with these modules, or the error; empty: none."""
    path = os.pathsep.join(one for one in sys.path if one)
    done = subprocess.run(
        [sys.executable, "-c", _LISTING, *modules],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    lines = done.stderr.strip().splitlines()
    return (lines[-1] if lines else f"ended with code {done.returncode}") if done.returncode else ""


# --- methods -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MethodCase:
    """A method with the data set and settings of its checks."""

    registry: Registry
    registered: Registered[Method]
    dataset: str = "toy"
    settings: Mapping[str, Any] = field(default_factory=dict)
    data_root: Path | None = None

    @property
    def method(self) -> Method:
        return self.registered.declaration

    @property
    def composition(self) -> dict[str, Registered[Component] | None]:
        """The method's components by kind; None where it has none."""
        return dict(self.registry.composition(self.method).items())

    def recipe(
        self,
        variant: str | None = None,
        reading: str | None = None,
        preset: str | None = None,
        dataset: str | None = None,
    ) -> Recipe:
        """The resolved recipe, without the case's settings; a fault names the overlays."""
        try:
            return resolve(
                self.registry,
                dataset or self.dataset,
                method=self.method.name,
                variant=variant,
                reading=reading,
                preset=preset,
                data_root=self.data_root,
            )
        except ZslbenchError as error:
            overlays = {"preset": preset, "reading": reading, "variant": variant}
            where = " with ".join(f"{kind} '{name}'" for kind, name in overlays.items() if name)
            raise Fault(f"{where}: {error}" if where else str(error)) from error

    def overlays(self) -> Iterator[tuple[str | None, str | None]]:
        """Every variant, and none, in every reading; the default reading is None."""
        readings = [one.name for one in self.method.readings[1:]]
        return product((None, *(one.name for one in self.method.variants)), (None, *readings))

    def run(self, mode: Mode, variant: str | None = None) -> dict[str, Any]:
        """The figures of a tiny run of one seed; nothing is stored. A variant ignores settings of components
        that it replaces."""
        recipe, settings = self.recipe(variant), dict(self.settings)
        if variant is not None:
            settings = {key: value for key, value in settings.items() if key in recipe.setting_names()}
        recipe = recipe.with_settings(settings)
        outcome = pipeline.run(recipe, self._data, Selection(mode), Training(Streams(0)))
        return dict(outcome.metrics)

    @cached_property
    def _data(self) -> Dataset:
        recipe = self.recipe().with_settings(self.settings)
        return load_dataset(recipe.parts["dataset"], root=self.data_root, **embedding_needs(recipe))


def method_declared(case: MethodCase) -> None:
    """The summary is one line."""
    require_summary(case.method.summary)


def components_exist(case: MethodCase) -> None:
    """Every component that the method or a variant names is registered."""
    for variant in (None, *case.method.variants):
        for kind, name in case.registry.missing(case.method, variant):
            where = f"variant '{variant.name}': " if variant else ""
            raise Fault(f"{where}no {kind} '{name}' is registered")


def settings_valid(case: MethodCase) -> None:
    """The method's own settings exist in its components and have valid values."""
    case.recipe()


def presets_valid(case: MethodCase) -> None:
    """Every preset can be read, and its settings are valid under each reading and with each variant."""
    package = case.method.presets
    names = preset_names(package)
    if package is not None and not names:
        raise Fault(f"package {package} holds no preset; ship its TOML files, or declare presets=None")
    composition = case.composition if names else {}
    for name in names:
        for key in read_preset(package, name).settings:
            kind, _, setting = key.partition(".")
            chosen = composition.get(kind)
            if kind != "dataset" and chosen is None:
                raise Fault(f"preset '{name}' sets {key}, but the method has no {kind}")
            if chosen is not None and setting not in fields_of(settings_model(chosen)):
                raise Fault(f"preset '{name}': {kind} '{chosen.name}' has no setting '{setting}'")
        dataset = None
        with suppress(UnknownName):  # not every preset is named after a data set
            dataset = find_dataset(case.registry, name, root=case.data_root).name
        for variant, reading in case.overlays():
            case.recipe(variant, reading, name, dataset)


def readings_resolve(case: MethodCase) -> None:
    """Every reading resolves, alone and with each variant, has a summary of one line, and is different."""
    found: dict[str, dict[str, Any]] = {}
    composition = case.composition
    for reading in case.method.readings:
        where = f"reading '{reading.name}'"
        require_summary(reading.summary, f"{where}: ")
        for key in reading.settings:
            present = composition.get(key.partition(".")[0], True) is not None
            require(present, f"{where} sets {key}, but the method has no such component")
        found[reading.name] = _content(case.recipe(None, reading.name))
        for variant in case.method.variants:
            case.recipe(variant.name, reading.name)
    presets = preset_names(case.method.presets)
    for other, name in combinations(found, 2):
        special = any(one.endswith((f"-{name}", f"-{other}")) for one in presets)
        same = found[name] == found[other] and not special
        require(not same, f"readings '{other}' and '{name}' are the same; remove one")


def variants_resolve(case: MethodCase) -> None:
    """Every variant resolves, has a summary, and changes something (unless it is named ``full``) under
    some preset: a preset may make the same choice."""
    presets = (None, *(preset_names(case.method.presets) if case.method.presets else ()))
    base = {preset: _content(case.recipe(preset=preset)) for preset in presets}
    for variant in case.method.variants:
        where = f"variant '{variant.name}'"
        require_summary(variant.summary, f"{where}: ")
        same = all(_content(case.recipe(variant.name, preset=one)) == base[one] for one in presets)
        whole = variant.name == FULL and not variant.settings and not variant.components
        require(not same or whole, f"{where} changes nothing; remove it")


def _content(recipe: Recipe) -> dict[str, Any]:
    """The parts of a recipe that its results depend on."""
    return {kind: (part.name, part.values()) for kind, part in recipe.parts.items()}


def explains(case: MethodCase) -> None:
    """``explain`` returns rows for the settings of every reading and variant, and imports nothing heavy."""
    target = case.method.explain
    if target is None:
        return
    for variant, reading in case.overlays():
        recipe = case.recipe(variant, reading)
        try:
            settings: dict[str, Any] = {kind: part.values() for kind, part in recipe.parts.items()}
            explain_settings(case.registered, settings, recipe.parts["dataset"].name)
        except PluginError as error:
            where = f" in reading '{reading}'" if reading else ""
            where += f" with variant '{variant}'" if variant else ""
            raise Fault(f"{error}{where}") from error
    if fault := heavy_import((target.partition(":")[0],)):
        raise Fault(f"explain {target}: {fault}; zslbench show would be slow")


def published_figures(case: MethodCase) -> None:
    """The published figures can be read and belong to the whole method and its own variants."""
    found = published_ablation(case.method)
    declared = {one.name for one in case.method.variants} | {FULL}
    if unknown := sorted({variant for variant, _ in found} - declared):
        raise Fault(f"published figures of '{unknown[0]}', {did_you_mean(unknown[0], declared)}")
    for dataset in sorted({dataset for _, dataset in found}):
        whole = (FULL, dataset) in found
        require(whole, f"published figures on {dataset} lack the whole method; add a row '{FULL}'")


def search_valid(case: MethodCase) -> None:
    """Searched and tunable settings exist and accept their values, and no candidate is listed twice."""
    for key, candidates in case.method.search.items():
        distinct = len({repr(one) for one in candidates}) == len(candidates)
        require(distinct, f"search lists a candidate of '{key}' twice")
    for _ in case.recipe().candidates():
        pass
    for key, space in case.method.tunable.items():
        for value in space.values if isinstance(space, Options) else (space.low, space.high):
            case.recipe().with_settings({key: value})


def runs(case: MethodCase) -> None:
    """A tiny run of one seed, with model selection on validation, ends with sensible figures."""
    _require_sensible(case, case.run("val"))


def repeats(case: MethodCase) -> None:
    """Two tiny runs of one seed give the same figures."""
    first, second = case.run("last"), case.run("last")
    different = ", ".join(sorted(key for key in first if first[key] != second[key]))
    require(first == second, f"two runs of the same seed differ in {different}; draw from the streams only")


def variants_run(case: MethodCase) -> None:
    """A tiny run of every variant ends with sensible figures."""
    for variant in case.method.variants:
        try:
            _require_sensible(case, case.run("last", variant.name))
        except Exception as error:
            raise Fault(f"variant '{variant.name}': {error}") from error


def _require_sensible(case: MethodCase, figures: Mapping[str, Any]) -> None:
    for metric in headline_metrics():
        if metric.group.lower() not in case.method.tasks:
            continue
        value = figures.get(metric.key)
        finite = isinstance(value, float) and math.isfinite(value)
        sensible = finite and (not metric.percent or 0 <= float(value or 0) <= 1)
        require(sensible, f"{metric.key} is {value!r}, not a fraction between 0 and 1")
