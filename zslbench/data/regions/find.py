"""Finds the region features of a data set.

``--regions`` gives a name or a path; without it, there must be only one in these folders. For the data set
folder
``<root>/<DS>`` (<DS> is case-insensitive):

* ``<root>/<DS>/`` and ``<root>/<DS>/regions/``: every region store and every ``.hdf5`` or ``.h5`` file with a
  ``feature_map``;
* ``<root>/region_features/`` and ``<root>/../region_features/``: those called ``<DS>_*``, or
  ``feature_map_ResNet_101_<DS>`` like those by the authors of DAZLE.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from zslbench.data.regions.hdf5 import HDF5_SUFFIXES, is_region_file, open_hdf5
from zslbench.data.regions.store import RegionStore, is_region_store
from zslbench.errors import DataError, MissingData, UnknownName, did_you_mean


def open_regions(path: Path, widths: Collection[int] = ()) -> RegionStore:
    """The region features at this path: the folder of a store, or a file in the HDF5 layout.

    Args:
        widths: lengths of feature vectors of the same images.

    Raises:
        DataError: it is neither, or cannot be read.
    """
    return RegionStore.open(path) if path.is_dir() else open_hdf5(path, widths)


def find_regions(folder: Path, name: str | None = None, advice: str = "") -> Path:
    """The region features of the data set in ``folder``.

    Args:
        name: which of them (``--regions``): a name, or a path to others; None: the only ones.
        advice: where to get some, for the message if there are none.

    Raises:
        MissingData: there are none; names what was searched for and where.
        DataError: there are several and no name was given; lists them.
        UnknownName: none has that name, and there is no such path.
    """
    found = region_files(folder)
    names = _names(found)
    if name is not None:
        return _find_named(folder, name, names, advice)
    if not found:
        searched = ", ".join(map(str, _folders(folder)))
        what = f"feature_map_ResNet_101_{folder.name}.hdf5, {folder.name}_*.hdf5 or a region store"
        raise MissingData(folder, [f"no region features: searched for {what} in {searched}"], advice)
    if len(found) > 1:
        raise DataError(
            folder, [f"several region features: {', '.join(names)}"], f"Pass --regions {next(iter(names))}"
        )
    return found[0]


def region_files(folder: Path) -> list[Path]:
    """Every store and file with region features of the data set in ``folder``, in the order of the search."""
    name, found = folder.name.lower(), []
    for path in (path for parent in _folders(folder) for path in _entries(parent)):
        stem = _stem(path).lower()
        own = folder in (path.parent, path.parent.parent)
        if own or stem.startswith(f"{name}_") or stem in (name, f"feature_map_resnet_101_{name}"):
            found.append(path)
    return [path for path in found if is_region_store(path) or (path.is_file() and is_region_file(path))]


def _folders(folder: Path) -> list[Path]:
    """Where to search: in the data set's own folders, then in those that data sets share."""
    shared = [parent / "region_features" for parent in folder.absolute().parents[:2]]
    return [folder, folder / "regions", *shared]


def _entries(folder: Path) -> list[Path]:
    """Folders and HDF5 files in a folder; names that begin with a dot are still being written."""
    entries: list[Path] = []
    with contextlib.suppress(OSError):
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return [path for path in entries if path.is_dir() or path.suffix.lower() in HDF5_SUFFIXES]


def _stem(path: Path) -> str:
    return path.stem if path.suffix.lower() in HDF5_SUFFIXES else path.name


def _names(found: list[Path]) -> dict[str, Path]:
    """Each by its stem if it is unique, else by its file name if that is, else by its path."""
    stems, files = Counter(_stem(path) for path in found), Counter(path.name for path in found)
    return {
        _stem(path) if stems[_stem(path)] == 1 else path.name if files[path.name] == 1 else str(path): path
        for path in found
    }


def _find_named(folder: Path, name: str, names: dict[str, Path], advice: str) -> Path:
    full = {known.lower(): path for known, path in names.items()}
    files = {path.name.lower(): path for path in names.values()}
    short = {known.removeprefix(f"{folder.name.lower()}_"): path for known, path in full.items()}
    for known in (full, files, short):
        if name.lower() in known:
            return known[name.lower()]
    path = Path(name).expanduser()
    if path.is_file() or is_region_store(path):
        return path
    if path.is_dir():
        raise DataError(path, ["is not a region store: it has no store.json"])
    if path.is_absolute() or len(path.parts) > 1:
        raise MissingData(path, ["no such region store or file"], advice)
    raise UnknownName(f"{folder}: no region features '{name}', {did_you_mean(name, names)}; a path works too")
