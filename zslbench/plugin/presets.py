"""Presets: TOML files with settings per data set, one table per kind of component.

In a file that ``zslbench tune`` wrote, the table ``[provenance]`` records how the values were found, and
``until`` is the epoch of the schedule after which training stops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Any

from zslbench.errors import SettingsError, UnknownName, did_you_mean
from zslbench.plugin.declarations import KINDS
from zslbench.store.parsing import parse_toml, small_text

PROVENANCE = "provenance"
"""The table of a preset that records how its values were found."""
UNTIL = "until"
"""The entry of a preset for the epoch of the schedule after which training stops."""


@dataclass(frozen=True)
class Preset:
    """Settings under a name."""

    name: str
    settings: dict[str, Any]
    """``{"generator.lr": 1e-4}``."""
    provenance: Mapping[str, Any] | None = None
    """How a search found them; None: written by hand."""
    until: int | None = None
    """The epoch of the schedule after which training stops; None: its end."""


def preset_names(package: str | None) -> tuple[str, ...]:
    """The presets in a package."""
    if package is None:
        return ()
    try:
        entries = list(files(package).iterdir())
    except (ModuleNotFoundError, FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(one.name.removesuffix(".toml") for one in entries if one.name.endswith(".toml")))


def read_preset(package: str | None, name: str, shown: str = "") -> Preset:
    """A preset in a package, ``shown`` under this name; UnknownName, with the nearest, if it is missing."""
    if package is None or name not in preset_names(package):
        raise UnknownName(f"no preset '{name}', {did_you_mean(name, preset_names(package))}")
    text = files(package).joinpath(f"{name}.toml").read_text("utf-8")
    return parse_preset(text, f"{package}/{name}.toml", shown or name)


def read_preset_file(path: str) -> Preset:
    """A preset in a file of the user's, named by its path; SettingsError if it is not readable or not one."""
    try:
        text = small_text(Path(path))
    except (OSError, ValueError) as error:
        raise SettingsError(f"preset {path}: cannot be read ({error})") from None
    return parse_preset(text, path)


def parse_preset(text: str, where: str, name: str = "") -> Preset:
    """The preset in a TOML text.

    Args:
        where: its place, for messages; also the preset's name by default.

    Raises:
        SettingsError: the text is not TOML, or holds something else than tables named after kinds.
    """
    try:
        tables = parse_toml(text)
    except ValueError as error:
        raise SettingsError(f"preset {where}: not valid TOML: {error}") from None
    provenance = tables.pop(PROVENANCE, None)
    if provenance is not None and not isinstance(provenance, dict):
        raise SettingsError(f"preset {where}: '{PROVENANCE}' must be a table")
    until = tables.pop(UNTIL, None)
    if until is not None and (type(until) is not int or until < 1):
        raise SettingsError(f"preset {where}: '{UNTIL}' must be a number of epochs, 1 or more")
    for kind, table in tables.items():
        if kind not in KINDS or not isinstance(table, dict):
            raise SettingsError(
                f"preset {where}: '{kind}' is not a table named after a kind; {did_you_mean(kind, KINDS)}"
            )
    return Preset(name or where, flatten(tables), provenance, until)


def select_presets(
    package: str | None,
    requested: str | Sequence[str] | None,
    dataset: str,
    reading: str | None,
    package_of: Callable[[str], str | None],
) -> list[Preset]:
    """The presets to apply, in order: later ones win.

    Args:
        package: the method's presets.
        requested: names, ``method:name`` for another method's, or TOML files; None: the data set's preset, if
            there is one.
        reading: prefer its presets, ``<name>-<reading>``; None: the default reading, which has none.
        package_of: the presets of another method.
    """
    known = preset_names(package)

    def for_reading(name: str) -> str:
        special = f"{name}-{reading}"
        return special if reading is not None and special in known else name

    def read(name: str) -> Preset:
        if name.endswith(".toml"):
            return read_preset_file(name)
        if ":" in name:
            method, _, preset = name.rpartition(":")
            return read_preset(package_of(method), preset, name)
        return read_preset(package, for_reading(name))

    names = (requested,) if isinstance(requested, str) else tuple(requested or ())
    if not names:
        # A data set without a preset gets the defaults: a guess would look like a choice.
        names = (dataset,) if for_reading(dataset) in known else ()
    return [read(name) for name in names]


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"generator": {"lr": 1}}`` as ``{"generator.lr": 1}``, at any depth."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def parse_assignment(text: str) -> tuple[str, Any]:
    """Key and value of ``"generator.lr=1e-4"``, SettingsError if it has another form.

    The value is read as TOML, or as text if it is not TOML.
    """
    key, equals, value = text.partition("=")
    kind, dot, name = key.strip().partition(".")
    if not equals or not dot or not name or kind not in KINDS:
        raise SettingsError(
            f"--set {text}: write <kind>.<setting>=<value>, for example generator.lr=1e-4; "
            f"kinds: {', '.join(KINDS)}"
        )
    try:
        return key.strip(), toml_or_word(value)
    except ValueError as error:
        raise SettingsError(f"--set {key}: {error}") from None


def toml_or_word(text: str) -> Any:
    """A value that a user typed: TOML, or else plain text; ValueError: beyond the parser's limits."""
    try:
        content = parse_toml(f"value = {text}")
    except TOMLDecodeError:
        return text.strip()
    return content["value"] if len(content) == 1 else text.strip()
