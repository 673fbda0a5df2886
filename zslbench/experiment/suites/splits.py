"""Finds the splits that data sets of a suite mean: ``hmdb51/*``, or ``hmdb51`` with ``splits = true``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from zslbench.data.named import find_dataset
from zslbench.data.split_sets import ALL_SPLITS, SplitSet, find_splits, is_split_set
from zslbench.errors import SettingsError, UnknownName
from zslbench.experiment.suites.definition import MOST_CELLS, Suite
from zslbench.plugin.lookup import Registry

ValueT = TypeVar("ValueT")


def with_splits(suite: Suite, registry: Registry, data_root: str | Path | None = None) -> Suite:
    """The suite with each split as a data set of its own; ``split_sets`` says which share a column.

    A name that matches nothing stays as it is: its data set is not on this machine.

    Raises:
        SettingsError: two names mean the same split, or there are too many cells.
        DataError: splits have names that cannot be used.
    """
    found = {
        name: one for name in suite.datasets if (one := _splits(suite, name, registry, data_root)) is not None
    }
    if not found:
        return suite
    owners: dict[str, str] = {}
    for name, one in found.items():
        for split in one.splits:
            if split in owners or split in suite.datasets:
                other = owners.get(split, split)
                raise SettingsError(
                    f"{suite.where}: data sets '{other}' and '{name}' both mean '{split}'; keep one"
                )
            owners[split] = name
    datasets = _each(suite.datasets, found)
    cells = len(suite.rows) * len(datasets) * len(suite.select) * len(suite.seeds)
    if cells > MOST_CELLS:
        raise SettingsError(
            f"{suite.where}: {cells:,} cells, more than {MOST_CELLS:,}: divide it into several suites"
        )
    rows = (
        row.model_copy(update={"datasets": _each(row.datasets, found), "on": _on_each(row.on, found)})
        for row in suite.methods
    )
    remarks = (
        f"{one.name}: folders left out, since they hold no data set: {', '.join(one.left_out)}"
        for one in found.values()
        if one.left_out
    )
    changed = {
        "datasets": datasets,
        "methods": tuple(rows),
        "on": _on_each(suite.on, found),
        "split_sets": {**suite.split_sets, **{one.name: one.splits for one in found.values()}},
        "remarks": (*suite.remarks, *remarks),
    }
    return suite.model_copy(update=changed)


def _splits(suite: Suite, name: str, registry: Registry, data_root: str | Path | None) -> SplitSet | None:
    """What the name of a data set means; None: a single data set, or nothing on this machine."""
    if not is_split_set(name):
        if not suite.splits or any(name in splits for splits in suite.split_sets.values()):
            return None
        try:
            find_dataset(registry, name, root=data_root)
            return None  # the folder is itself a data set
        except UnknownName:
            name += ALL_SPLITS
    try:
        return find_splits(name, data_root)
    except UnknownName:
        return None


def _each(names: tuple[str, ...], found: Mapping[str, SplitSet]) -> tuple[str, ...]:
    return tuple(one for name in names for one in (found[name].splits if name in found else (name,)))


def _on_each(options: Mapping[str, ValueT], found: Mapping[str, SplitSet]) -> dict[str, ValueT]:
    return {split: one for name, one in options.items() for split in _each((name,), found)}
