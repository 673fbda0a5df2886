"""Errors a user can cause: each message says what is wrong, where, and what to do.

The command line prints the message alone; ``--debug`` adds the traceback.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence


class ZslbenchError(Exception):
    """Base of every error that a user can cause."""

    exit_code = 1


class UnknownName(ZslbenchError):
    """An unregistered name. The message lists the nearest known names."""

    exit_code = 2


class SettingsError(ZslbenchError):
    """A setting that does not exist or does not validate."""

    exit_code = 2


class PluginError(ZslbenchError):
    """A plugin that is broken, where that must be an error (``--strict-plugins``)."""


class PluginFailure(PluginError):
    """An unexpected error in a plugin's code, and where it occurred as far as is known."""

    def __init__(self, place: Mapping[str, object], what: str) -> None:
        self.place, self.what = dict(place), what
        where = (
            f"{name} {one}" if isinstance(one, int) else f"{name} '{one}'" for name, one in place.items()
        )
        super().__init__(f"{', '.join(where)}: {what}")

    def __reduce__(self) -> tuple[object, ...]:  # errors cross processes
        return type(self), (self.place, self.what)


class DataError(ZslbenchError):
    """Data that cannot be used: names the file and lists every fault at once."""

    def __init__(self, where: object, faults: Sequence[str], advice: str = "") -> None:
        self.where = str(where)
        self.faults = tuple(faults)
        self.advice = advice
        message = f"{where}: " + "; ".join(faults)
        super().__init__(f"{message}. {advice}" if advice else message)


class MissingExtra(ZslbenchError):
    """A library of one of the package's extras is not installed; says which extra to install."""


class MissingData(DataError):
    """A data set, or one of its files, that is not on this machine."""


class Interrupted(ZslbenchError):
    """The run was asked to stop; its checkpoint lets the same command resume later."""

    exit_code = 130


class Diverged(ZslbenchError):
    """A loss became NaN or infinite."""


class OutOfMemory(ZslbenchError):
    """Memory ran out; the message says what to reduce."""


_SHORTAGE = re.compile(
    "can('t|not) allocate memory|not enough memory|out of memory|bad_alloc|_ALLOC_FAILED", re.IGNORECASE
)
_AMOUNT = re.compile(r"allocate ([\d.]+) ?([KMGT]i?B|bytes)")


def memory_shortage(error: BaseException) -> str:
    """``"out of GPU memory (20.00 GiB more needed)"``, if an error from Python, NumPy or torch
    means that; empty: it is a different error."""
    text = str(error)
    known = isinstance(error, RuntimeError | OSError) and _SHORTAGE.search(text)
    if not known and not isinstance(error, MemoryError):
        return ""
    where = "GPU memory" if re.search("CUDA|CUBLAS|CUDNN|HIP", text) else "memory"
    found = _AMOUNT.search(text)
    if not found:
        return f"out of {where}"
    number, unit = float(found[1]), found[2]
    amount = f"{number / 2**30:.2f} GiB" if unit == "bytes" else f"{found[1]} {unit}"
    return f"out of {where} ({amount} more needed)"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest known names as a hint, or the list when nothing is close, at most 50 of them.

    >>> did_you_mean("sof", ["softmax", "nearest"])
    "did you mean 'softmax'?"
    """
    choices = sorted(known)
    near = difflib.get_close_matches(name[:100], choices, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(f"'{one}'" for one in near) + "?"
    more = ["..."] if len(choices) > 50 else []
    return "known: " + (", ".join([*choices[:50], *more]) or "none")
