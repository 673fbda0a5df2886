"""Finds the folders of data sets and the files that belong to them; imports nothing heavy, for listings."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from zslbench.data.kinds import absence
from zslbench.errors import DataError, MissingData
from zslbench.store.names import name_fault

SPLITS_FILE = "att_splits.mat"
"""The file that makes a folder a data set in the xlsa17 format."""

IMAGES = "images"
"""Folder of a data set's images, laid out as in the data set's own archive."""

ATTRIBUTE_NAMES = "attribute_names.txt"
"""Sidecar file with the names of the attributes, one per line."""

ATTRIBUTE_VECTORS = "attribute_vectors.npy"
"""Sidecar file with the word vectors of the attributes, (attributes, words)."""

FOLDER = "folder:"
"""Prefix of a name: take the folder below the data root even if a plugin registers this name."""

HOW_TO_CHOOSE = (
    "--data-root or the environment variable ZSLBENCH_DATA selects the folder that holds the data sets"
)

# The archive unpacks to xlsa17/data/<DS>; any folder on that path may be given.
_NESTED = ("", "xlsa17", "xlsa17/data", "data")

_SAME_ATTRIBUTES = {"awa1": "awa2"}
"""Data sets that share another one's attributes (Lampert et al. 2014; Xian et al. 2018)."""


def data_root(option: str | Path | None = None) -> Path:
    """The folder that holds one folder per data set; it need not exist.

    The first of ``option`` (``--data-root``), the environment variable ``ZSLBENCH_DATA`` and the user's data
    folder. If it contains no data set itself but its ``xlsa17``, ``xlsa17/data`` or ``data`` does, that inner
    folder is returned.
    """
    chosen = option or os.environ.get("ZSLBENCH_DATA")
    root = Path(chosen).expanduser() if chosen else platformdirs.user_data_path("zslbench", False) / "data"
    return next(
        (root / inner for inner in _NESTED if any(map(is_complete, listed_folders(root / inner)))), root
    )


def dataset_folders(root: Path) -> dict[str, Path]:
    """Folders below ``root`` in the xlsa17 format (they hold ``att_splits.mat``), by lower-case name.

    Folders that contain data sets, such as ``UCF101`` with ``UCF101/split_1``, are searched too; such names
    have a ``/``. Those that :func:`misnamed_folders` finds are left out.

    Raises:
        DataError: the folder cannot be listed, or two names differ only in case.
    """
    found: dict[str, Path] = {}
    for name, one in _complete(root):
        if name in found:
            both = " and ".join(path.relative_to(root).as_posix() for path in (found[name], one))
            raise DataError(root, [f"{both} are both data set '{name}'"], "Rename one")
        if not name_fault(name, nested=True):
            found[name] = one
    return found


def misnamed_folders(root: Path) -> list[str]:
    """What is wrong with the names of folders below ``root`` that otherwise were data sets, a line for each.

    Raises:
        DataError: the folder cannot be listed.
    """
    return [
        f"folder {one.relative_to(root).as_posix()!r} is left out: its name {fault}; rename it"
        for name, one in _complete(root)
        if (fault := name_fault(name, nested=True))
    ]


def _complete(root: Path) -> Iterator[tuple[str, Path]]:
    """The folders in the xlsa17 format below ``root`` and their lower-case names."""
    for folder in listed_folders(root):
        within = folder.is_symlink() and root.resolve().is_relative_to(folder.resolve())  # a loop
        inside = [folder]
        if not is_complete(folder) and not within:
            with contextlib.suppress(OSError):  # another user's folder
                inside = _inner(folder)
        for one in filter(is_complete, inside):
            yield folder_key(one.relative_to(root).as_posix()), one


def find_folder(root: Path, name: str) -> Path | None:
    """The folder of this name below ``root``, ignoring case, even if it is incomplete.

    Args:
        name: as given to ``--dataset``, with or without ``folder:``.

    Raises:
        DataError: a folder cannot be listed, or several data sets have this name.
    """
    folders = find_folders(root, name)
    complete = [one for one in folders if is_complete(one)]
    if len(complete) > 1:
        both = " and ".join(one.name for one in complete)
        raise DataError(root, [f"{both} are both data set '{name}'"], "Rename one")
    return next(iter(complete or folders), None)


def find_folders(root: Path, name: str) -> list[Path]:
    """All folders of this name below ``root``, ignoring case; DataError: a folder cannot be listed."""
    folders = [root]
    for part in folder_key(name).split("/"):
        folders = [
            one for parent in folders for one in listed_folders(parent) if folder_key(one.name) == part
        ]
    return folders


def require_folder(root: Path, folder: str, dataset: str, advice: str = HOW_TO_CHOOSE) -> Path:
    """The folder of a data set below the data root ``root``.

    Raises:
        MissingData: names the folder, the data sets found instead, and ``advice``.
    """
    root = data_root(root)
    found = find_folder(root, folder)
    if found is None:
        names = [one.relative_to(root).as_posix() for one in dataset_folders(root).values()]
        others = ", ".join(names) or "no data sets"
        fault = f"no folder {folder.removeprefix(FOLDER)} in {root} (found: {others})"
        raise MissingData(f"data set '{dataset}'", [fault], advice)
    return found


def dataset_key(name: str) -> str:
    """A data set's name as runs record it and names are compared: composed (NFC), in lower case.

    >>> dataset_key("Folder:UCF101/Split_1/")
    'folder:ucf101/split_1'
    """
    return unicodedata.normalize("NFC", name.strip()).lower().removesuffix("/")


def folder_key(name: str) -> str:
    """As :func:`dataset_key`, without ``folder:``."""
    return dataset_key(name).removeprefix(FOLDER)


def is_complete(folder: Path) -> bool:
    """Whether the folder is a data set in the xlsa17 format."""
    return not absence(folder / SPLITS_FILE)


def listed_folders(root: Path) -> list[Path]:
    """The folders in the data root, or in one of them, sorted by name; none if it does not exist.

    Raises:
        DataError: it cannot be listed.
    """
    try:
        return _inner(root)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise DataError(root, [f"cannot be listed ({error.strerror})"], HOW_TO_CHOOSE) from None


def _inner(folder: Path) -> list[Path]:
    """A folder's subfolders, sorted by name, without those still being written (names with a leading dot)."""
    with os.scandir(folder) as entries:  # knows folders from files without a stat call for each image
        return sorted(Path(one.path) for one in entries if not one.name.startswith(".") and _is_folder(one))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):  # a link that loops, or one into another user's folder
        return entry.is_dir()
    return False


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
