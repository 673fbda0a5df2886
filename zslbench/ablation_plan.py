"""What an ablation will run, settled before its first run: rows, recipes, and which data sets are there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zslbench.data.dataset import Dataset
from zslbench.data.load import load_dataset, provenance
from zslbench.declarations import FULL, Method, Variant
from zslbench.errors import MissingData, SettingsError, UnknownName, did_you_mean
from zslbench.fitting import embedding_inputs
from zslbench.recipe import Recipe, resolve
from zslbench.registry import Registry, settings_model


def rows(method: Method, names: Sequence[str] | None) -> dict[str, Variant | None]:
    """The variants in declared order, by name; None: the method itself, where no variant is named ``full``.

    Args:
        names: only these; the whole method is always among them, there is nothing to compare with without.

    Raises:
        SettingsError: the method has no variants.
        UnknownName: it has none of such a name.
    """
    declared: dict[str, Variant | None] = {variant.name: variant for variant in method.variants}
    if not declared:
        raise SettingsError(f"method '{method.name}' has no variants, which an ablation compares")
    declared.setdefault(FULL, None)
    for name in names or ():
        if name not in declared:
            raise UnknownName(
                f"method '{method.name}' has no variant '{name}', {did_you_mean(name, declared)}"
            )
    return {name: one for name, one in declared.items() if names is None or name in (*names, FULL)}


@dataclass
class Wishes:
    """What the user asked for, as far as a variant can have it.

    A variant may swap components out; settings of theirs and the length of a schedule that it does not have
    are left out there, which is remarked.
    """

    registry: Registry
    method: Method
    settings: Mapping[str, Any]
    epochs: int | None
    others: Mapping[str, Any]
    """Further arguments of :func:`zslbench.recipe.resolve`."""
    remarks: list[str] = field(default_factory=list)

    def recipe(self, variant: Variant | None, dataset: str) -> Recipe:
        """The recipe of a variant, or of the method itself, on a data set.

        Raises:
            ZslbenchError: as :func:`zslbench.recipe.resolve` does.
        """
        lacking = [] if variant is None else [key for key in self.settings if self._lacks(variant, key)]
        settings = {key: value for key, value in self.settings.items() if key not in lacking}

        def resolved(epochs: int | None) -> Recipe:
            return resolve(
                self.registry,
                dataset,
                method=self.method.name,
                variant=variant.name if variant else None,
                settings=settings,
                epochs=epochs,
                **self.others,
            )

        epochs = self.epochs
        if variant is not None and variant.components and epochs is not None and not resolved(None).schedule:
            lacking, epochs = [*lacking, "a schedule"], None
        self._remark(variant, lacking)
        return resolved(epochs)

    def _lacks(self, variant: Variant, key: str) -> bool:
        kind, _, name = key.partition(".")
        if kind not in variant.components:
            return False
        component = self.registry.composition(self.method, variant)[kind]  # type: ignore[index]
        return component is None or name not in settings_model(component).model_fields

    def _remark(self, variant: Variant | None, lacking: Sequence[str]) -> None:
        if variant is not None and lacking:
            text = f"variant '{variant.name}' does not have {', '.join(lacking)}: left out there"
            if text not in self.remarks:
                self.remarks.append(text)


class Data:
    """The data sets of an ablation, one in memory at a time, with and without region features.

    Args:
        root: where data sets lie, as ``--data-root`` gives it.
        say: told of what is remarkable about a data set.
        which: ``features``, ``semantics`` and ``regions`` of :func:`zslbench.data.load.load_dataset`.
    """

    def __init__(self, root: str | Path | None, say: Callable[[str], None], **which: str | None) -> None:
        self._root, self._say, self._which = root, say, which
        self._loaded: dict[tuple[str, str], tuple[Dataset, dict[str, Any]]] = {}
        self._faults: dict[tuple[str, str], str | None] = {}

    def fault(self, recipe: Recipe) -> str | None:
        """Why the recipe's data set cannot be had; None: it is there.

        Raises:
            DataError: it is there and cannot be used.
        """
        key = self._key(recipe)
        if key not in self._faults:
            try:
                self.of(recipe)
                self._faults[key] = None
            except MissingData as error:
                self._faults[key] = str(error)
        return self._faults[key]

    def of(self, recipe: Recipe) -> tuple[Dataset, dict[str, Any]]:
        """The data set and its provenance.

        Raises:
            MissingData: it is not there.
            DataError: it cannot be used.
        """
        key, part = self._key(recipe), recipe.parts["dataset"]
        if key not in self._loaded:
            self._loaded = {one: it for one, it in self._loaded.items() if one[0] == key[0]}
            needs = embedding_inputs(recipe) == "regions"
            found = load_dataset(part, root=self._root, needs_regions=needs, **self._which)
            if key not in self._faults:  # told once, though it be read again
                for note in found.notes:
                    self._say(note)
            self._loaded[key] = (found, provenance(found))
        return self._loaded[key]

    def _key(self, recipe: Recipe) -> tuple[str, str]:
        part = recipe.parts["dataset"]
        return part.name, json.dumps([part.values(), embedding_inputs(recipe)], sort_keys=True)
