"""Data sets of several runs, loaded when they are needed and one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zslbench.data.dataset import Dataset
from zslbench.data.load import load_dataset, provenance
from zslbench.errors import MissingData
from zslbench.fitting import embedding_inputs
from zslbench.recipe import Recipe


@dataclass(frozen=True)
class Which:
    """Which of a data set's files: arguments of :func:`zslbench.data.load.load_dataset`."""

    features: str | None = None
    semantics: str | None = None
    regions: str | None = None


class Data:
    """The data sets of several runs, one in memory at a time, with and without region features.

    Args:
        root: where data sets lie, as ``--data-root`` gives it.
        say: told of what is remarkable about a data set.
        which: ``features``, ``semantics`` and ``regions``, where a call does not say.
    """

    def __init__(self, root: str | Path | None, say: Callable[[str], None], **which: str | None) -> None:
        self._root, self._say, self._which = root, say, Which(**which)
        self._loaded: dict[tuple[str, str], tuple[Dataset, dict[str, Any]]] = {}
        self._faults: dict[tuple[str, str], str | None] = {}

    def fault(self, recipe: Recipe, which: Which | None = None) -> str | None:
        """Why the recipe's data set cannot be had; None: it is there.

        Raises:
            DataError: it is there and cannot be used.
        """
        key = self._key(recipe, which)
        if key not in self._faults:
            try:
                self.of(recipe, which)
                self._faults[key] = None
            except MissingData as error:
                self._faults[key] = str(error)
        return self._faults[key]

    def of(self, recipe: Recipe, which: Which | None = None) -> tuple[Dataset, dict[str, Any]]:
        """The data set and its provenance.

        Raises:
            MissingData: it is not there.
            DataError: it cannot be used.
        """
        key, part = self._key(recipe, which), recipe.parts["dataset"]
        if key not in self._loaded:
            self._loaded = {one: it for one, it in self._loaded.items() if one[0] == key[0]}
            needs = embedding_inputs(recipe) == "regions"
            chosen = asdict(which or self._which)
            found = load_dataset(part, root=self._root, needs_regions=needs, **chosen)
            if key not in self._faults:  # told once, though it be read again
                for note in found.notes:
                    self._say(note)
            self._loaded[key] = (found, provenance(found))
        return self._loaded[key]

    def _key(self, recipe: Recipe, which: Which | None) -> tuple[str, str]:
        part, chosen = recipe.parts["dataset"], asdict(which or self._which)
        return part.name, json.dumps([part.values(), embedding_inputs(recipe), chosen], sort_keys=True)
