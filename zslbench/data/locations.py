"""Finds data sets and the files that belong to them. Imports nothing heavy, since listings use it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import platformdirs

from zslbench import __version__
from zslbench.errors import DataError, MissingData, UnknownName
from zslbench.plugin.declarations import Component
from zslbench.plugin.lookup import CORE, PluginInfo, Registered, Registry

SPLITS_FILE = "att_splits.mat"
"""The file that makes a folder a data set in the xlsa17 format."""

IMAGES = "images"
"""Folder of a data set's images, laid out as in the data set's own archive."""

ATTRIBUTE_NAMES = "attribute_names.txt"
"""Sidecar file with the names of the attributes, one per line."""

ATTRIBUTE_VECTORS = "attribute_vectors.npy"
"""Sidecar file with the word vectors of the attributes, (attributes, words)."""

HOW_TO_CHOOSE = (
    "--data-root or the environment variable ZSLBENCH_DATA selects the folder that holds the data sets"
)

# The archive unpacks to xlsa17/data/<DS>; any folder on that path may be given.
_NESTED = ("", "xlsa17", "xlsa17/data", "data")

_SAME_ATTRIBUTES = {"awa1": "awa2"}
"""Data sets that share another one's attributes (Lampert et al. 2014; Xian et al. 2018)."""

_FOLDER_PLUGIN = PluginInfo("folder", "zslbench.data.xlsa17", CORE, __version__)
"""Given as the plugin of data sets that are folders in the xlsa17 format."""


def data_root(option: str | Path | None = None) -> Path:
    """The folder that holds one folder per data set; it need not exist.

    The first of ``option`` (``--data-root``), the environment variable ``ZSLBENCH_DATA`` and the user's data
    folder. If it contains no data set itself but its ``xlsa17``, ``xlsa17/data`` or ``data`` does, that inner
    folder is returned.
    """
    chosen = option or os.environ.get("ZSLBENCH_DATA")
    root = Path(chosen).expanduser() if chosen else platformdirs.user_data_path("zslbench", False) / "data"
    return next((root / inner for inner in _NESTED if dataset_folders(root / inner)), root)


def dataset_folders(root: Path) -> dict[str, Path]:
    """Folders below ``root`` in the xlsa17 format (they hold ``att_splits.mat``), by lower-case name.

    Raises:
        DataError: the folder cannot be listed, or two names differ only in case.
    """
    if not root.is_dir():
        return {}
    try:
        folders = sorted(one for one in root.iterdir() if (one / SPLITS_FILE).is_file())
    except OSError as error:
        raise DataError(root, [f"cannot be listed ({error.strerror})"], HOW_TO_CHOOSE) from None
    found: dict[str, Path] = {}
    for folder in folders:
        name = folder.name.lower()
        if name in found:
            raise DataError(
                root, [f"{found[name].name} and {folder.name} are both data set '{name}'"], "Rename one"
            )
        found[name] = folder
    return found


def find_folder(root: Path, name: str) -> Path | None:
    """The folder of this name below ``root`` in upper or lower case, even if it is incomplete."""
    complete = dataset_folders(root).get(name.lower())
    if complete is not None or not root.is_dir():
        return complete
    return next(
        (one for one in sorted(root.iterdir()) if one.is_dir() and one.name.lower() == name.lower()), None
    )


def require_folder(root: Path, folder: str, dataset: str, advice: str = HOW_TO_CHOOSE) -> Path:
    """The folder of a data set below the data root ``root``.

    Raises:
        MissingData: names the folder, the data sets found instead, and ``advice``.
    """
    root = data_root(root)
    found = find_folder(root, folder)
    if found is None:
        others = ", ".join(one.name for one in dataset_folders(root).values()) or "no data sets"
        fault = f"no folder {folder} in {root} (found: {others})"
        raise MissingData(f"data set '{dataset}'", [fault], advice)
    return found


def sidecar(folder: Path, file: str) -> Path | None:
    """A file that accompanies the data set in ``folder``: in it, or shared by several data sets.

    For ``attribute_names.txt`` that is ``<folder>/attribute_names.txt``, else ``attribute_names/<DS>.txt``
    next to the folder or one level up.

    >>> sidecar(Path("nowhere/CUB"), "attribute_names.txt") is None
    True
    """
    own = folder / file
    if own.is_file():
        return own
    name, kind = folder.name.lower(), Path(file)
    for shared in (parent / kind.stem for parent in folder.absolute().parents[:2]):
        with contextlib.suppress(OSError):
            files = {one.stem.lower(): one for one in sorted(shared.iterdir()) if one.suffix == kind.suffix}
            for one in (name, _SAME_ATTRIBUTES.get(name, name)):
                if one in files:
                    return files[one]
    return None


def find_dataset(registry: Registry, name: str, *, root: str | Path | None = None) -> Registered[Component]:
    """The data set of this name: a plugin's, or else a folder in the xlsa17 format under the data root.

    Args:
        root: as given to ``--data-root``; None: the configured folder.

    Raises:
        UnknownName: there is neither; names the nearest.
    """
    registered = {one.name: one for one in registry.components("dataset")}
    key = name.strip().lower()
    if key in registered:
        return registered[key]
    folders = folder_components(root)
    if key in folders:
        return folders[key]
    where = f"no plugin registers it and {data_root(root)} has no such folder"
    raise UnknownName(f"{registry.unknown('dataset', name, {*registered, *folders})} ({where})")


def folder_components(root: str | Path | None = None) -> dict[str, Registered[Component]]:
    """The data sets that are folders in the xlsa17 format under the data root, by lower-case name."""
    found: dict[str, Registered[Component]] = {}
    for name, path in dataset_folders(data_root(root)).items():
        # Skips folders that nobody could name on a command line ("my data").
        with contextlib.suppress(ValueError):
            component = Component(
                kind="dataset",
                name=name,
                target="zslbench.data.xlsa17:FolderSource",
                summary=f"folder {path.name} in xlsa17 format",
            )
            found[name] = Registered(component, _FOLDER_PLUGIN)
    return found
