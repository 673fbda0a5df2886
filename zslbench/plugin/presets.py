"""Presets: TOML files with settings per data set, one table per kind of component.

A file that a search wrote (``zslbench tune``) says in ``[provenance]`` how its values came about.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from zslbench.errors import SettingsError, UnknownName, did_you_mean
from zslbench.plugin.declarations import KINDS

PROVENANCE = "provenance"
"""The table of a preset that says how its values were found."""


@dataclass(frozen=True)
class Preset:
    """Settings under a name."""

    name: str
    settings: Mapping[str, Any]
    """Flat, ``{"generator.lr": 1e-4}``."""
    provenance: Mapping[str, Any] | None = None
    """How they were found; None: somebody wrote them down."""


def preset_names(package: str | None) -> tuple[str, ...]:
    """The presets that a package holds."""
    if package is None:
        return ()
    try:
        entries = list(files(package).iterdir())
    except (ModuleNotFoundError, FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(one.name.removesuffix(".toml") for one in entries if one.name.endswith(".toml")))


def read_preset(package: str | None, name: str) -> dict[str, Any]:
    """Settings of a packaged preset as ``{"generator.lr": 1e-4}``.

    Raises:
        UnknownName: no such preset.
        SettingsError: the file is not what a preset looks like.
    """
    if name not in preset_names(package):
        raise UnknownName(f"no preset '{name}', {did_you_mean(name, preset_names(package))}")
    assert package is not None
    return parse_preset(files(package).joinpath(f"{name}.toml").read_text("utf-8"), f"{package}/{name}.toml")


def read_preset_file(path: Path) -> dict[str, Any]:
    """Settings of a preset file of the user's.

    Raises:
        SettingsError: the file cannot be read or is not what a preset looks like.
    """
    return parse_preset(_text(path), str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"preset {path}: cannot be read ({error})") from None


def choose(
    package: str | None,
    asked: str | Sequence[str] | None,
    dataset: str,
    reading: str | None,
    package_of: Callable[[str], str | None],
) -> list[Preset]:
    """The presets that hold, of which the later win.

    Args:
        package: the method's presets.
        asked: names, ``method:name`` for another method's, or TOML files; None: the data set's preset where
            there is one.
        reading: its own presets, ``<name>-<reading>``, go before the plain ones; None: it has none.
        package_of: the presets of another method.

    Raises:
        UnknownName: no such preset or method.
        SettingsError: a file is not what a preset looks like.
    """
    there = preset_names(package)

    def own(name: str) -> str:
        twin = f"{name}-{reading}"
        return twin if reading is not None and twin in there else name

    given = (asked,) if isinstance(asked, str) else tuple(asked or ())
    if not given:
        # Without a preset of its own a data set gets the defaults; a guess would pass for a choice.
        name = own(dataset)
        return [Preset(name, read_preset(package, name))] if name in there else []
    chosen = []
    for name in given:
        if name.endswith(".toml"):
            text = _text(Path(name))
            chosen.append(Preset(name, parse_preset(text, name), parse_provenance(text, name)))
        elif ":" in name:
            owner, _, plain = name.rpartition(":")
            chosen.append(Preset(name, read_preset(package_of(owner), plain)))
        else:
            chosen.append(Preset(own(name), read_preset(package, own(name))))
    return chosen


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"generator": {"lr": 1}}`` as ``{"generator.lr": 1}``, however deep."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def parse_preset(text: str, where: str) -> dict[str, Any]:
    """Flatten ``[generator] lr = 1e-4`` to ``{"generator.lr": 1e-4}``; ``[provenance]`` is no setting."""
    flat: dict[str, Any] = {}
    for kind, table in _tables(text, where).items():
        if kind == PROVENANCE:
            continue
        if kind not in KINDS or not isinstance(table, dict):
            raise SettingsError(
                f"preset {where}: '{kind}' is not a table named after a kind; {did_you_mean(kind, KINDS)}"
            )
        flat |= flatten(table, f"{kind}.")
    return flat


def parse_provenance(text: str, where: str) -> dict[str, Any] | None:
    """What a preset says of how its values were found; None: it says nothing.

    Raises:
        SettingsError: not TOML, or ``provenance`` is no table.
    """
    found = _tables(text, where).get(PROVENANCE)
    if found is not None and not isinstance(found, dict):
        raise SettingsError(f"preset {where}: '{PROVENANCE}' is not a table")
    return found


def _tables(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"preset {where}: not valid TOML: {error}") from None


def parse_assignment(text: str) -> tuple[str, Any]:
    """``"generator.lr=1e-4"`` as a key and a value; the value is read as TOML, else as a plain word.

    Raises:
        SettingsError: there is no ``=`` or no ``<kind>.<setting>`` before it.
    """
    key, equals, value = text.partition("=")
    kind, dot, name = key.strip().partition(".")
    if not equals or not dot or not name or kind not in KINDS:
        raise SettingsError(
            f"--set {text}: write <kind>.<setting>=<value>, as generator.lr=1e-4; kinds: {', '.join(KINDS)}"
        )
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()
