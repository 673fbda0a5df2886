"""Where a data set's pictures and files about its attributes lie. Imports nothing heavy: listings use it."""

from __future__ import annotations

import contextlib
from pathlib import Path

_SHARED = {"awa1": "awa2"}
"""Data sets that have another one's attributes (Lampert et al. 2014; Xian et al. 2018)."""


NAMES = ("attribute_names", ".txt")
"""Kind and ending of the file with attribute names, one a line."""

VECTORS = ("attribute_vectors", ".npy")
"""Kind and ending of the file with word vectors of the attributes, (attributes, words)."""

IMAGES = "images"
"""In a data set's folder: the pictures, below the folders that the data set's own archive has."""


def beside(folder: Path, kind: str, suffix: str) -> Path | None:
    """The file ``<folder>/<kind><suffix>``, else ``<kind>/<DS><suffix>`` next to the folder or one up.

    >>> beside(Path("nowhere/CUB"), "attribute_names", ".txt") is None
    True
    """
    own = folder / f"{kind}{suffix}"
    if own.is_file():
        return own
    name = folder.name.lower()
    wanted = [name, _SHARED.get(name, name)]
    for place in (folder.parent / kind, folder.parent.parent / kind):
        with contextlib.suppress(OSError):
            files = {one.stem.lower(): one for one in sorted(place.iterdir()) if one.suffix == suffix}
            for one in wanted:
                if one in files:
                    return files[one]
    return None
