"""Writes the winner of a search as a preset: every setting of its components, and where they come from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zslbench.errors import SettingsError, ZslbenchError
from zslbench.experiment import Recipe
from zslbench.plugin.declarations import KINDS
from zslbench.plugin.presets import PROVENANCE, parse_provenance
from zslbench.store.files import write_whole
from zslbench_tune.space import Space

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def check_output(path: Path, study: str) -> None:
    """Whether a search may write its preset there.

    Raises:
        SettingsError: it is no ``.toml`` file, or a file that this search has not written.
    """
    if path.suffix != ".toml":
        raise SettingsError(f"{path}: a preset's name ends with .toml")
    if not path.exists():
        return
    try:
        known = parse_provenance(path.read_text("utf-8"), str(path)) or {}
    except (OSError, UnicodeDecodeError, SettingsError):
        known = {}
    if known.get("study") != study:
        raise SettingsError(f"{path}: is there and not this search's preset; name another file")


def write_preset(path: Path, recipe: Recipe, space: Space, provenance: Mapping[str, Any]) -> None:
    """Write the preset, whole.

    Raises:
        ZslbenchError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, preset_text(recipe, space, provenance).encode("utf-8"))
    except OSError as error:
        raise ZslbenchError(f"{path}: cannot be written ({error.strerror or error})") from None


def preset_text(recipe: Recipe, space: Space, provenance: Mapping[str, Any]) -> str:
    """The preset as TOML, with every setting, so that it depends on no other preset or default."""
    searched = {one.key for one in space.dimensions} | {recipe.schedule}
    lines = ["# Found by a search on the validation split (zslbench tune); [provenance] says how."]
    for kind in KINDS:
        if kind == "dataset" or kind not in recipe.parts:
            continue
        lines += ["", f"[{kind}]"]
        values = recipe.parts[kind].values()
        found = {name: value for name, value in values.items() if f"{kind}.{name}" in searched}
        lines += [f"{name} = {_value(value)}  # found" for name, value in found.items()]
        lines += [f"{name} = {_value(value)}" for name, value in values.items() if name not in found]
    lines += _table(PROVENANCE, provenance)
    return "\n".join(lines) + "\n"


def _table(name: str, values: Mapping[str, Any]) -> list[str]:
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    lines = ["", f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in plain.items())]
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += _table(f"{name}.{_key(key)}", value)
    return lines


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    """A value as TOML; None is written as the word that settings read as None."""
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
        return json.dumps(value).replace("\x7f", "\\u007f")
    raise TypeError(f"{value!r} has no form in a preset")
