"""Checks every name that becomes part of a path, whether it comes from a user, a file or a plugin."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from zslbench.errors import SettingsError

_LONGEST = 150
"""Bytes of a name in UTF-8: file systems allow 255, but temporary names and extensions are longer."""
_FORBIDDEN = frozenset('/\\:*?"<>|')
"""Separators, and characters that Windows does not allow."""
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"
"""Also invisible, but needed for spelling in Persian and in Indian scripts."""
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}
"""Names that Windows opens as devices, with any extension."""


def name_fault(name: str, *, nested: bool = False) -> str:
    """Why this cannot be the name of a file or folder on every system, as a predicate; empty: it can.

    Letters of any script, digits, inner spaces and most punctuation are allowed.

    Args:
        nested: whether ``/`` may separate folders.

    >>> name_fault("UCF101/split 1", nested=True)
    ''
    >>> name_fault("../CUB", nested=True)
    "begins with '.'"
    """
    faults = (_fault(part) for part in (name.split("/") if nested else [name]))
    return next(filter(None, faults), "")


def checked_name(name: str, what: str, *, nested: bool = False, taken: Collection[str] = ()) -> str:
    """The name in Unicode's composed form (NFC), if it may become part of a path.

    Args:
        what: what is named, for the message: ``"--name"``.
        nested: whether ``/`` may separate folders.
        taken: lower-case names that already have another meaning.

    Raises:
        SettingsError: the name is not allowed; says why.
    """
    fault = name_fault(name, nested=nested)
    if not fault and name.lower() in taken:
        fault = "is reserved"
    if fault:
        shown = name[:80] if name.isprintable() else repr(name[:80])
        raise SettingsError(f"{what} {shown}: the name {fault}; use letters, digits and '-_.+ '")
    return unicodedata.normalize("NFC", name)


def path_name(text: str) -> str:
    """A usable name from any text, such as a data set's: characters that are not allowed become ``_``.

    >>> path_name("folder:ucf101/split_1")
    'folder_ucf101_split_1'
    """
    if not _fault(text):
        return text
    allowed = "".join("_" if _is_forbidden(character) else character for character in text)
    name = allowed.encode()[: _LONGEST - 1].decode(errors="ignore").rstrip(". ")
    return f"_{name}" if _fault(name) else name


def _is_forbidden(character: str) -> bool:
    hidden = unicodedata.category(character) in _INVISIBLE and character not in _JOINERS
    return hidden or character in _FORBIDDEN


def _fault(name: str) -> str:
    if not name:
        return "is empty"
    for character in filter(_is_forbidden, name):
        return f"contains {character!r}"
    if name[0] in ".- " or name[-1] in ". ":
        return f"begins with {name[0]!r}" if name[0] in ".- " else f"ends with {name[-1]!r}"
    if len(name.encode()) > _LONGEST:
        return f"is longer than {_LONGEST} bytes"
    if name.partition(".")[0].rstrip().lower() in _DEVICES:
        return "is a device name on Windows"
    return ""
