"""Where trackers write."""

from __future__ import annotations

import os
import re
from pathlib import Path

from zslbench.errors import SettingsError


def folder_of(tracker: str, where: str | None, default: Path) -> Path:
    """The folder that was asked for, or the default; it is made.

    Raises:
        SettingsError: it is a file, or cannot be made or written to.
    """
    folder = Path(where).expanduser().absolute() if where else default
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"--track {tracker}={folder}: is no folder that can be made ({error})") from None
    if not os.access(folder, os.W_OK):
        raise SettingsError(f"--track {tracker}={folder}: cannot be written to; name another folder")
    return folder


def slug(text: str) -> str:
    """A text as part of a file's name.

    >>> slug("sc-egg (no-lce) [paper]")
    'sc-egg-no-lce-paper'
    """
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-")
