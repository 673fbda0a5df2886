"""Where data sets lie. Imports nothing heavy: listings use it."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from zslbench.errors import DataError

SPLITS_FILE = "att_splits.mat"
"""The file that makes a folder a data set in the xlsa17 format."""

HOW_TO_CHOOSE = (
    "--data-root or the environment variable ZSLBENCH_DATA chooses the folder that holds the data sets"
)

# The archive unpacks to xlsa17/data/<DS>; any folder on that way may be given.
_INSIDE = ("", "xlsa17", "xlsa17/data", "data")


def data_root(option: str | Path | None = None) -> Path:
    """The folder that holds one folder per data set.

    The first of: ``option`` (``--data-root``), the environment variable ``ZSLBENCH_DATA``, the user's data
    folder. Where that folder holds no data set itself but its ``xlsa17`` (or ``xlsa17/data``, or
    ``data``) does, the inner folder is meant. The folder need not exist.
    """
    chosen = option or os.environ.get("ZSLBENCH_DATA")
    root = Path(chosen).expanduser() if chosen else platformdirs.user_data_path("zslbench", False) / "data"
    for inside in _INSIDE:
        if folder_datasets(root / inside):
            return root / inside
    return root


def folder_datasets(root: Path) -> dict[str, Path]:
    """Folders below ``root`` in the xlsa17 format (they hold ``att_splits.mat``), by lower-case name.

    Raises:
        DataError: the folder cannot be listed, or two of its data sets differ in upper and lower case alone.
    """
    if not root.is_dir():
        return {}
    found: dict[str, Path] = {}
    try:
        folders = sorted(one for one in root.iterdir() if (one / SPLITS_FILE).is_file())
    except OSError as error:
        raise DataError(root, [f"cannot be listed ({error.strerror})"], HOW_TO_CHOOSE) from None
    for folder in folders:
        name = folder.name.lower()
        if name in found:
            raise DataError(
                root, [f"{found[name].name} and {folder.name} are both data set '{name}'"], "Rename one"
            )
        found[name] = folder
    return found


def find_folder(root: Path, name: str) -> Path | None:
    """The folder of this name below ``root``, upper or lower case, whether complete or not."""
    complete = folder_datasets(root).get(name.lower())
    if complete is not None or not root.is_dir():
        return complete
    return next(
        (one for one in sorted(root.iterdir()) if one.is_dir() and one.name.lower() == name.lower()), None
    )
