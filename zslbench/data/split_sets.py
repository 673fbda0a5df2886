"""Several splits of one data set: folders such as ``HMDB51/split_1``, named together as ``hmdb51/*``.

Imports nothing heavy, since listings and filters use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from zslbench.data.locations import (
    SPLITS_FILE,
    data_root,
    find_folders,
    folder_key,
    is_complete,
    listed_folders,
)
from zslbench.errors import DataError, SettingsError, UnknownName, did_you_mean
from zslbench.store.names import name_fault

ALL_SPLITS = "/*"
"""Appended to the name of a folder, it means all data sets in the folder."""


@dataclass(frozen=True)
class SplitSet:
    """The data sets that a name with ``*`` means."""

    name: str
    """``hmdb51/*``, in lower case."""
    splits: tuple[str, ...]
    """Names of data sets in natural order, ``split_2`` before ``split_10``; never empty."""
    left_out: tuple[str, ...] = ()
    """Names of matching folders that are not data sets."""


def is_split_set(name: str) -> bool:
    """Whether the name means several data sets. No data set's own name has a ``*``."""
    return "*" in name


def whole_name(name: str) -> str:
    """The name of the data set that the splits belong to; any other name as it is.

    >>> whole_name("hmdb51/*"), whole_name("cub")
    ('hmdb51', 'cub')
    """
    return name.rpartition("/")[0] if is_split_set(name) else name


def in_split_set(pattern: str, name: str) -> bool:
    """Whether a data set's name is among those that ``pattern`` means.

    >>> in_split_set("hmdb51/*", "hmdb51/split_3"), in_split_set("hmdb51/split_1*", "hmdb51/split_2")
    (True, False)
    """
    folder, _, last = folder_key(pattern).rpartition("/")
    of, _, part = folder_key(name).rpartition("/")
    return bool(folder) and folder == of and fnmatchcase(part, last.replace("[", "[[]"))


def columns_of(datasets: Iterable[str], split_sets: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """The column of a table that each data set belongs to: its own, or that of several splits.

    >>> columns_of(["cub", "ucf101/split_1"], {"ucf101/*": ["ucf101/split_1"]})
    {'cub': 'cub', 'ucf101/split_1': 'ucf101/*'}
    """
    shared = {split: name for name, splits in split_sets.items() for split in splits}
    return {one: shared.get(one, one) for one in datasets}


def splits_named(split_sets: Iterable[str], datasets: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Which of these data sets each of ``split_sets`` means, in natural order, for :func:`columns_of`.

    Raises:
        SettingsError: two of the names mean the same data set.

    >>> splits_named(["ucf101/*", "hmdb51/*"], ["cub", "ucf101/split_1"])
    {'ucf101/*': ('ucf101/split_1',)}
    """
    names, found = list(split_sets), dict[str, list[str]]()
    for dataset in in_natural_order(set(datasets)):
        several = [name for name in names if in_split_set(name, dataset)]
        if len(several) > 1:
            raise SettingsError(f"data sets {' and '.join(several)} both mean '{dataset}'; give one")
        if several:
            found.setdefault(several[0], []).append(dataset)
    return {name: tuple(of) for name, of in found.items()}


def in_natural_order(names: Iterable[str]) -> list[str]:
    """The names sorted, with numbers in them by value.

    >>> in_natural_order(["split_10", "split_2"])
    ['split_2', 'split_10']
    """

    def key(name: str) -> tuple[list[tuple[int, str]], str]:
        parts = re.split(r"([0-9]+)", name)
        return [(int(one[:18]), "") if one.isdecimal() else (-1, one) for one in parts], name

    return sorted(names, key=key)


def find_splits(pattern: str, root: str | Path | None = None) -> SplitSet:
    """The data sets below the data root that a name such as ``hmdb51/*`` means.

    Args:
        pattern: a folder below the data root, ``/``, and the names of the folders in it, where ``*`` stands
            for any characters.
        root: as given to ``--data-root``; None: the configured folder.

    Raises:
        UnknownName: the pattern has another form, or no data set matches.
        DataError: a folder cannot be listed, or matching data sets have names that cannot be used.
    """
    at, name = data_root(root), folder_key(pattern)
    folder, slash, last = name.rpartition("/")
    if not slash or "*" not in last or name_fault(folder, nested=True):
        raise UnknownName(
            f"no data sets {pattern[:80]!r}: write a folder below the data root and /*, as in 'hmdb51/*'"
        )
    parents = find_folders(at, folder)
    if not parents:
        others = [folder_key(one.name) for one in listed_folders(at)]
        raise UnknownName(
            f"no data sets '{pattern}': no folder {folder} in {at}, {did_you_mean(folder, others)}"
        )
    inside = [
        one
        for parent in parents
        for one in listed_folders(parent)
        if in_split_set(name, f"{folder}/{one.name}")
    ]
    found: dict[str, Path] = {}
    faults: list[str] = []
    for one in filter(is_complete, inside):
        where, key = one.relative_to(at).as_posix(), f"{folder}/{folder_key(one.name)}"
        if fault := name_fault(folder_key(one.name)):
            faults.append(f"the name of folder {where!r} {fault}")
        elif key in found:
            faults.append(f"{found[key].relative_to(at).as_posix()} and {where} are both data set '{key}'")
        found.setdefault(key, one)
    if faults:
        raise DataError(at, faults, "Rename them, so that no split is left out")
    if not found:
        raise UnknownName(
            f"no data sets '{pattern}': no folder in {' or '.join(map(str, parents))} "
            f"that matches {last!r} holds {SPLITS_FILE}"
        )
    left_out = tuple(one.name for one in inside if not is_complete(one))
    return SplitSet(name, tuple(in_natural_order(found)), left_out)
