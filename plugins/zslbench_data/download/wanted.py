"""Which members of an archive a part of a data set wants, and what they are called afterwards."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from zslbench_data.download.catalogue import Part

PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".bmp")


def chooser(part: Part) -> Callable[[tuple[str, ...]], str | None]:
    """Says where a member goes, from the parts of its path; None: it is not wanted."""
    patterns = [PurePosixPath(one).parts for one in (*part.members, *part.optional)]
    below = PurePosixPath(part.below).parts if part.below else None

    def choose(parts: tuple[str, ...]) -> str | None:
        if not parts or "__MACOSX" in parts or parts[-1].startswith("._"):
            return None  # what macOS adds to archives
        if below is not None:
            return _under(below, parts)
        matches = any(_ends(parts, pattern) for pattern in patterns)
        return parts[-1] if matches else None

    return choose


def _ends(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    tail = parts[-len(pattern) :]
    return len(tail) == len(pattern) and all(map(fnmatchcase, tail, pattern))


def _under(below: tuple[str, ...], parts: tuple[str, ...]) -> str | None:
    if not parts[-1].lower().endswith(PICTURES):
        return None
    for start in range(len(parts) - len(below)):
        if parts[start : start + len(below)] == below:
            return "/".join(parts[start + len(below) :])
    return None
