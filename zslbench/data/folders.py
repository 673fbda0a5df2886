"""Data sets by name: registered by a plugin, or a folder in xlsa17 format under the data root."""

from __future__ import annotations

import contextlib
from pathlib import Path

from zslbench import __version__
from zslbench.data import roots
from zslbench.errors import UnknownName
from zslbench.plugin.declarations import Component
from zslbench.plugin.lookup import CORE, PluginInfo, Registered, Registry

FOLDERS = PluginInfo("folder", "zslbench.data.xlsa17", CORE, __version__)
"""Stands in as the plugin of data sets that are plain folders in xlsa17 format."""


def find_dataset(
    registry: Registry, name: str, *, data_root: str | Path | None = None
) -> Registered[Component]:
    """The data set of this name: a plugin's, or else a folder in xlsa17 format under the data root.

    Args:
        data_root: as ``--data-root`` gives it; None: the configured place.

    Raises:
        UnknownName: there is neither; names the nearest.
    """
    registered = {one.name: one for one in registry.components("dataset")}
    key = name.strip().lower()
    if key in registered:
        return registered[key]
    folders = folder_datasets(data_root)
    if key in folders:
        return folders[key]
    where = f"no plugin registers it and {roots.data_root(data_root)} has no such folder"
    raise UnknownName(f"{registry.unknown('dataset', name, {*registered, *folders})} ({where})")


def folder_datasets(data_root: str | Path | None = None) -> dict[str, Registered[Component]]:
    """The data sets that are folders in xlsa17 format under the data root, by lower-case name."""
    found: dict[str, Registered[Component]] = {}
    for name, path in roots.folder_datasets(roots.data_root(data_root)).items():
        # A folder that nobody could name on a command line ("my data") is none of ours.
        with contextlib.suppress(ValueError):
            found[name] = Registered(
                Component(
                    kind="dataset",
                    name=name,
                    target="zslbench.data.xlsa17:FolderSource",
                    summary=f"folder {path.name} in xlsa17 format",
                ),
                FOLDERS,
            )
    return found
