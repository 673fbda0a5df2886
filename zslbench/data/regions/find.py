"""Finds the region features of a data set.

``--regions`` gives a name or a path; without it, there must be only one in these places. For the data set
folder ``<root>/<DS>``:

* ``<root>/<DS>/`` and ``<root>/<DS>/regions/``: every region store and every ``.hdf5`` or ``.h5`` file with a
  ``feature_map``;
* ``<root>/region_features/`` and ``<root>/../region_features/``: those called ``<DS>_*``, or
  ``feature_map_ResNet_101_<DS>`` as by the authors of DAZLE.

The case of <DS> does not matter.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from zslbench.data.regions.hdf5 import HDF5_SUFFIXES, is_region_file, open_hdf5
from zslbench.data.regions.store import RegionStore, StoredRegions, is_region_store
from zslbench.errors import DataError, MissingData, UnknownName, did_you_mean

_SHARED = "region_features"


def open_regions(path: Path) -> StoredRegions:
    """The region features at this path: the folder of a store, or a file in the HDF5 layout.

    Raises:
        DataError: it is neither, or cannot be read.
    """
    return RegionStore.open(path) if path.is_dir() else open_hdf5(path)


def find_regions(folder: Path, name: str | None = None, advice: str = "") -> Path:
    """The region features of the data set in ``folder``.

    Args:
        name: which of them (``--regions``): a name, or a path to others; None: the only ones.
        advice: where to get some, for the message if there are none.

    Raises:
        MissingData: there are none; says what was searched for and where.
        DataError: there are several and no name was given; lists them.
        UnknownName: none has that name, and there is no such path.
    """
    found = region_files(folder)
    names = _names(folder, found)
    if name is not None:
        return _named(folder, name, names, advice)
    if not found:
        root = folder.parent
        places = [folder, folder / "regions", root / _SHARED, root.parent / _SHARED]
        searched = ", ".join(str(one) for one in places)
        what = f"feature_map_ResNet_101_{folder.name}.hdf5, {folder.name}_*.hdf5 or a region store"
        raise MissingData(folder, [f"no region features: searched for {what} in {searched}"], advice)
    if len(found) > 1:
        choices = ", ".join(dict.fromkeys(names))
        raise DataError(
            folder, [f"several region features: {choices}"], f"Pass --regions {next(iter(names))}"
        )
    return found[0]


def region_files(folder: Path) -> list[Path]:
    """Every store and file with region features of the data set in ``folder``, in the order of the places."""
    name, root = folder.name.lower(), folder.parent
    found = [one for place in (folder, folder / "regions") for one in _entries(place)]
    for place in (root / _SHARED, root.parent / _SHARED):
        for one in _entries(place):
            stem = one.name.lower()
            for suffix in HDF5_SUFFIXES:
                stem = stem.removesuffix(suffix)
            if stem.startswith(f"{name}_") or stem in (name, f"feature_map_resnet_101_{name}"):
                found.append(one)
    return [one for one in found if is_region_store(one) or (one.is_file() and is_region_file(one))]


def _entries(place: Path) -> list[Path]:
    """Folders and HDF5 files in a place; names that begin with a dot are still being written."""
    entries: list[Path] = []
    with contextlib.suppress(OSError):
        entries = sorted(place.iterdir())
    return [
        one
        for one in entries
        if not one.name.startswith(".") and (one.is_dir() or one.suffix.lower() in HDF5_SUFFIXES)
    ]


def _names(folder: Path, found: list[Path]) -> dict[str, Path]:
    """The name of each: without its suffix; with it if two share that; the path if two share that too."""
    names: dict[str, Path] = {}
    for one in found:
        stem = one.stem if one.suffix.lower() in HDF5_SUFFIXES else one.name
        for text, same in (
            (stem, sum(other.stem == one.stem or other.name == stem for other in found)),
            (one.name, sum(other.name == one.name for other in found)),
            (str(one), 1),
        ):
            if same == 1:
                names[text] = one
                break
    return names


def _named(folder: Path, name: str, names: dict[str, Path], advice: str) -> Path:
    lower = {text.lower(): one for text, one in names.items()}
    short = {text.removeprefix(f"{folder.name.lower()}_"): one for text, one in lower.items()}
    files = {one.name.lower(): one for one in names.values()}
    for known in (lower, files, short):
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
