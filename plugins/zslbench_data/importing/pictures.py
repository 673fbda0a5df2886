"""Pictures of an image folder: which there are, and their copies or links below the data root."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from zslbench.errors import MissingData
from zslbench.store import sha256_of
from zslbench_data.progress import Display

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


def pictures(folder: Path) -> list[str]:
    """Pictures below a folder as ``class/file.jpg``, sorted; what begins with a dot is left out.

    Raises:
        MissingData: there is no such folder, or it has no pictures.
    """
    if not folder.is_dir():
        raise MissingData(folder, ["no such folder"])
    found = []
    for base, inner, files in os.walk(folder, followlinks=True):
        inner[:] = sorted(one for one in inner if not one.startswith("."))
        below = Path(base).relative_to(folder)
        found += [
            (below / one).as_posix()
            for one in files
            if one.lower().endswith(SUFFIXES) and not one.startswith(".")
        ]
    if not found:
        raise MissingData(folder, [f"no pictures here ({', '.join(SUFFIXES)})"])
    return sorted(found)


def digest(folder: Path, names: Iterable[str]) -> str:
    """One digest of the names and bytes of pictures."""
    made = hashlib.sha256()
    for one in names:
        made.update(f"{one}\0{sha256_of(folder / one)}\n".encode())
    return made.hexdigest()


def bring(folder: Path, names: Iterable[str], to: Path, link: bool, display: Display) -> None:
    """Copy pictures to a new folder, or make the new folder a link."""
    if link:
        to.symlink_to(folder.resolve(), target_is_directory=True)
        return
    wanted = list(names)
    sizes = [(folder / one).stat().st_size for one in wanted]
    display.begin(f"copying {len(wanted)} pictures", sum(sizes))
    try:
        for name, size in zip(wanted, sizes, strict=True):
            target = to / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target)
            display.advance(size)
    finally:
        display.end()
