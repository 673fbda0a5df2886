"""Checks of what a method says of its paper: its readings, what explains them, and what is published."""

from __future__ import annotations

from typing import Any

from zslbench.errors import PluginError, did_you_mean
from zslbench.experiment.published.ablations import published_ablation
from zslbench.plugin.declarations import FULL
from zslbench.plugin.presets import preset_names
from zslbench.report.explanations import explanation
from zslbench.testing.check import Fault
from zslbench.testing.declared import heavy_import
from zslbench.testing.methods import Trial, content, overlays, where_of


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
            explanation(trial.registered, {kind: part.values() for kind, part in recipe.parts.items()})
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
