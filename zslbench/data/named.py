"""What the name of a data set means: one that a plugin registers, or else a folder below the data root.

Where both exist, the plain name means the plugin's data set and ``folder:NAME`` the folder, in records and
tables too. Imports nothing heavy, since listings use it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from zslbench import __version__
from zslbench.data.kinds import absence
from zslbench.data.locations import (
    FOLDER,
    SPLITS_FILE,
    data_root,
    dataset_folders,
    dataset_key,
    find_folder,
    folder_key,
    is_complete,
)
from zslbench.data.split_sets import ALL_SPLITS, find_splits, is_split_set
from zslbench.errors import DataError, UnknownName
from zslbench.plugin.declarations import Component
from zslbench.plugin.lookup import CORE, PluginInfo, Registered, Registry
from zslbench.store.names import name_fault

_FOLDER_PLUGIN = PluginInfo("folder", "zslbench.data.xlsa17", CORE, __version__)
"""Stands for the plugin of data sets that are folders in the xlsa17 format."""


class _Folder(Component):
    """Named after a folder, so it may contain characters that plugins may not use in names."""

    def _is_named(self) -> bool:
        return not name_fault(folder_key(self.name), nested=True)


def find_dataset(registry: Registry, name: str, *, root: str | Path | None = None) -> Registered[Component]:
    """The data set of this name: a plugin's, or else a folder in the xlsa17 format under the data root.

    Args:
        name: ``cub``, ``UCF101/split_1`` for a nested folder, ``folder:NAME`` for the folder even if a plugin
            registers the name.
        root: as given to ``--data-root``; None: the configured folder.

    Raises:
        UnknownName: there is neither, or the name stands for several (``ucf101/*``); says what is wrong
            with the folder, or suggests the nearest name.
    """
    registered = {one.name: one for one in registry.components("dataset")}
    key, plain = folder_key(name), dataset_key(name)
    if plain in registered:
        return registered[plain]
    if is_split_set(name):
        several = find_splits(name, root).splits
        raise UnknownName(
            f"'{name}' stands for several data sets, here {len(several)}; name one of them, "
            f"such as '{several[0]}'"
        )
    if fault := name_fault(key, nested=True):
        how = f"a data set is named by its folder below the data root ({FOLDER}NAME if a plugin has the name)"
        raise UnknownName(f"no data set {name[:80]!r}: the name {fault}; {how}")
    folder = find_folder(data_root(root), key)
    if folder is not None and is_complete(folder):
        return _component(registry, key, folder)
    if folder is not None:
        fault = f"no data set '{name}': {folder / SPLITS_FILE} {absence(folder / SPLITS_FILE)}"
        with contextlib.suppress(UnknownName, DataError):
            held = find_splits(f"{key}{ALL_SPLITS}", root)
            count = len(held.splits)
            holds = f"the folder holds {count} split{'' if count == 1 else 's'}"
            fault = f"no data set '{name}': {holds}; write --dataset '{held.name}'"
        raise UnknownName(fault)
    where = f"no plugin registers it and {data_root(root)} has no such folder"
    known = {*registered, *folder_components(registry, root)}
    raise UnknownName(f"{registry.unknown('dataset', name, known)} ({where})")


def folder_components(registry: Registry, root: str | Path | None = None) -> dict[str, Registered[Component]]:
    """The folders in the xlsa17 format under the data root that no plugin's data set reads, by name."""
    read = {folder_key(one.declaration.folder or "") for one in registry.components("dataset")}
    folders = dataset_folders(data_root(root))
    found = [_component(registry, key, path) for key, path in folders.items() if key not in read]
    return {one.name: one for one in found}


def dataset_name(registry: Registry, key: str) -> str:
    """What ``--dataset`` takes for the folder with this key, unless a plugin's data set reads it."""
    registered = {one.name: one.declaration.folder for one in registry.components("dataset")}
    shadowed = key in registered and folder_key(registered[key] or "") != key
    return f"{FOLDER}{key}" if shadowed else key


def shadowed_note(one: Registered[Component], root: str | Path | None = None) -> str:
    """A note about a folder that has the name of a plugin's data set but is not read; empty: none."""
    if folder_key(one.declaration.folder or "") == folder_key(one.name):
        return ""
    folder = find_folder(data_root(root), one.name)
    if folder is None or not is_complete(folder):
        return ""
    return (
        f"data set '{one.name}' is that of plugin '{one.plugin.name}', not the folder {folder}, "
        f"which is {FOLDER}{one.name}"
    )


def _component(registry: Registry, key: str, path: Path) -> Registered[Component]:
    registered = {one.name for one in registry.components("dataset")}
    component = _Folder(
        kind="dataset",
        name=f"{FOLDER}{key}" if key in registered else key,
        target="zslbench.data.xlsa17:FolderSource",
        summary=f"folder {path.name} in xlsa17 format",
        folder=key,
    )
    return Registered(component, _FOLDER_PLUGIN)
