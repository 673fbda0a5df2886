"""What a download tells the person who waits for it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

_STEP = 1000


@runtime_checkable
class Display(Protocol):
    """Told what is going on; the command line draws bars from it."""

    def say(self, text: str) -> None:
        """One line, as ``"trying again in 2 s"``."""
        ...

    def begin(self, what: str, total: int | None, done: int = 0) -> None:
        """A piece of work starts, of ``total`` bytes (None: unknown) of which ``done`` are there already."""
        ...

    def advance(self, step: int) -> None:
        """So many bytes more."""
        ...

    def end(self) -> None:
        """The piece of work is over, finished or not."""
        ...


class Silent:
    """Shows nothing."""

    def say(self, text: str) -> None: ...
    def begin(self, what: str, total: int | None, done: int = 0) -> None: ...
    def advance(self, step: int) -> None: ...
    def end(self) -> None: ...


def human(size: int | None) -> str:
    """A number of bytes for people, in powers of 1000.

    >>> human(1_150_585_339), human(900), human(None)
    ('1.15 GB', '900 B', 'unknown size')
    """
    if size is None:
        return "unknown size"
    if size < _STEP:
        return f"{size} B"
    shown = size / _STEP
    for unit in ("kB", "MB"):
        if shown < _STEP:
            return f"{shown:.0f} {unit}" if shown >= 100 else f"{shown:.3g} {unit}"
        shown /= _STEP
    return f"{shown:.3g} GB"
