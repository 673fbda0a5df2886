"""``zslbench methods``, ``datasets``, ``trackers`` and ``plugins``: what is installed, and from where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import click

from zslbench import Method, Reading, Variant, data
from zslbench.cli import complete_methods, data_root_option, format_option, note
from zslbench.errors import PluginError
from zslbench.output import echo, write
from zslbench.plugin import (
    Kind,
    PluginInfo,
    Registered,
    Registry,
    install_advice,
    missing_modules,
    preset_names,
    read_preset,
    registry,
    settings_model,
)
from zslbench.report import emit, json_text

Row = dict[str, Any]


@click.command()
@click.argument("name", required=False, shell_complete=complete_methods)
@format_option
def methods(name: str | None, fmt: str) -> None:
    """List methods, or show the composition, settings, presets, readings and variants of the method NAME."""
    known = registry()
    if name is not None:
        one = known.method(name)
        row = _method_row(known, one)
        show_method(known, one, {key: row[key] for key in row if key not in ("variants", "readings")}, fmt)
        return
    _note_broken(known)
    rows = [_method_row(known, one) for one in known.methods()]
    shown = ("method", "composition", "variants", "group", "paper", "from", "status")
    _emit(rows, shown, fmt, "methods")


@click.command()
@data_root_option
@format_option
def datasets(data_root: Path | None, fmt: str) -> None:
    """List data sets: those that plugins register, and folders in xlsa17 format under the data root."""
    known = registry()
    _note_broken(known)
    root = data.data_root(data_root)
    folders = data.dataset_folders(root)
    for text in data.misnamed_folders(root):
        note(text)
    registered = {one.name: one for one in known.components("dataset")}
    rows = [
        {
            "dataset": name,
            "summary": one.declaration.summary,
            # None does not mean absent: a data set may be stored elsewhere or need no folder.
            "folder": str(folders[key])
            if (key := data.folder_key(one.declaration.folder or "")) in folders
            else None,
            "paper": one.declaration.paper or None,
            **_origin(one.plugin),
        }
        for name, one in sorted((data.folder_components(known, data_root) | registered).items())
    ]
    shown = ("dataset", "summary", "folder", "paper", "from")
    _emit(rows, shown, fmt, f"data sets (data root {root})")


@click.command()
@format_option
def plugins(fmt: str) -> None:
    """List plugins with what they provide, and the reasons why any are broken."""
    known = registry()
    provided: dict[str, Sequence[Registered[Any]]] = {
        "components": known.components(),
        "methods": known.methods(),
        "trackers": known.trackers(),
        "executors": known.executors(),
        "commands": known.commands(),
    }
    rows: list[Row] = [
        {
            "plugin": one.name,
            "status": one.status,
            "reason": one.reason or None,
            **{what: sum(it.plugin == one for it in found) for what, found in provided.items()},
            "module": one.module,
            "distribution": one.distribution or None,
            "version": one.version or None,
        }
        for one in known.plugins
    ]
    if fmt in ("csv", "json"):
        emit(rows, fmt)
        return
    emit(
        [{key: value for key, value in row.items() if key != "reason"} for row in rows], fmt, title="plugins"
    )
    for one in known.broken:  # too long for a column
        echo(f"plugin '{one.name}' is broken: {one.reason}", err=fmt != "terminal")


@click.command()
@format_option
def trackers(fmt: str) -> None:
    """List trackers for --track, and what each still needs to be installed."""
    known = registry()
    _note_broken(known)
    rows = [
        {
            "tracker": one.name,
            "summary": one.declaration.summary,
            "status": f"missing: {install_advice(one)}" if missing_modules(one.declaration) else "ok",
            **_origin(one.plugin),
        }
        for one in known.trackers()
    ]
    _emit(rows, ("tracker", "summary", "status", "from"), fmt, "trackers")


def _method_row(known: Registry, one: Registered[Method]) -> Row:
    """All facts of a method; ``–`` in its composition means no generator."""
    method = one.declaration
    options: Sequence[Variant | None] = (None, *method.variants)
    missing = {f"{kind} '{name}'": None for each in options for kind, name in known.missing(method, each)}
    return {
        "method": method.name,
        "summary": method.summary,
        "composition": " + ".join([method.embedding, method.generator or "–", method.classifier]),
        "embedding": method.embedding,
        "generator": method.generator,
        "classifier": method.classifier,
        "variants": [variant.name for variant in method.variants],
        "readings": [reading.name for reading in method.readings],
        "group": method.group,
        "tasks": list(method.tasks),
        "paper": method.paper or None,
        **_origin(one.plugin),
        "status": f"missing: {', '.join(missing)}" if missing else "ok",
    }


def _origin(plugin: PluginInfo) -> Row:
    return {
        "plugin": plugin.name,
        "distribution": plugin.distribution or None,
        "version": plugin.version or None,
    }


def _emit(rows: Sequence[Row], shown: Sequence[str], fmt: str, title: str) -> None:
    """Write rows; readers see only the columns ``shown``, with the plugin's origin as ``from``."""
    if fmt in ("csv", "json"):
        emit(rows, fmt)
        return
    for row in rows:
        row["from"] = PluginInfo(row["plugin"], "", row["distribution"] or "", row["version"] or "").origin
    emit([{name: row[name] for name in shown} for row in rows], fmt, title=title)


def _note_broken(known: Registry) -> None:
    for one in known.broken:
        note(f"plugin '{one.name}' is broken and left out: {one.reason}")


# --- one method -------------------------------------------------------------------------------------


def show_method(known: Registry, one: Registered[Method], facts: Row, fmt: str) -> None:
    """Write everything about a method: facts, settings, readings and variants.

    ``json`` is one object, ``csv`` only the table of settings.

    Args:
        facts: its entry in the list of methods.
    """
    method = one.declaration
    presets = {name: read_preset(method.presets, name).settings for name in preset_names(method.presets)}
    settings = _settings(known, method)
    if fmt == "json":
        for row in settings:
            row["presets"] = _values(presets, row["setting"])
        readings = [
            _overlay("reading", one) | {"default": not place} for place, one in enumerate(method.readings)
        ]
        variants = [_overlay("variant", one) for one in method.variants]
        everything = {**facts, "settings": settings, "readings": readings, "variants": variants}
        write(json_text(everything))
        return
    overlays = {f"[{one.name}]": dict(one.settings) for one in method.readings if one.settings} | presets
    rows = [_settings_row(row, overlays) for row in settings]
    if fmt == "csv":
        emit(rows, fmt)
        return
    if fmt == "terminal":
        width = max(map(len, facts))
        for name, value in facts.items():
            shown = ", ".join(value) if isinstance(value, list) else value
            echo(f"{name:<{width}}  {'–' if shown is None else shown}")
    else:
        emit([{"": name, method.name: value} for name, value in facts.items()], fmt)
    title = "settings, with the values of each [reading] and preset" if overlays else "settings"
    tables = [(title, rows)]
    if fmt == "terminal":  # descriptions are too long for a column
        values = [{key: value for key, value in row.items() if key != "description"} for row in rows]
        descriptions = [{"setting": row["setting"], "description": row["description"]} for row in rows]
        tables = [(title, values), ("descriptions", descriptions)]
    readings = [  # their settings are columns of the table of settings
        {"reading": f"{one.name}{mark if place else ' (default)'}", "summary": one.summary}
        for place, one in enumerate(method.readings)
        for mark in [" (transductive)" if one.transductive else ""]
    ]
    tables += [("readings", readings), ("variants", _variant_rows(method))]
    for heading, table in tables:
        if table:
            echo()
            emit(table, fmt, title=heading)


def _settings(known: Registry, method: Method) -> list[Row]:
    """Each setting of each registered component, with this method's default."""
    from zslbench import ComponentSettings
    from zslbench.experiment import paced_of
    from zslbench.plugin import default_of, fields_of, schedule_of

    models: dict[Kind, type[ComponentSettings]] = {}
    missing = dict(known.missing(method))
    kinds: tuple[Kind, ...] = ("embedding", "generator", "classifier")
    for kind in kinds:
        name = getattr(method, kind)
        if name is None or kind in missing:
            continue
        try:
            models[kind] = settings_model(known.component(kind, name))
        except PluginError as error:  # the rest can still be shown
            note(str(error))
    rows: list[Row] = []
    paced = paced_of(models)
    for kind, model in models.items():
        for field, info in fields_of(model).items():
            key = f"{kind}.{field}"
            row: Row = {"setting": key, "type": type_text(info.annotation)}
            row["schedule"] = kind == paced and field == schedule_of(model)
            row["default"] = method.settings.get(key, default_of(model, field))
            row["search"] = list(method.search.get(key, ()))
            row["tune"] = str(method.tunable[key]) if key in method.tunable else None
            rows.append(row | {"description": info.description})
    return rows


def _overlay(what: str, overlay: Reading | Variant) -> Row:
    return {what: overlay.name} | {key: value for key, value in vars(overlay).items() if key != "name"}


def _values(overlays: dict[str, Row], setting: str) -> Row:
    """The values of a setting, by the preset or reading that sets it."""
    return {name: values[setting] for name, values in overlays.items() if setting in values}


def _settings_row(row: Row, overlays: dict[str, Row]) -> Row:
    given = {name: _value_text(value) for name, value in _values(overlays, row["setting"]).items()}
    text = f"{row['type']} (schedule: --epochs)" if row["schedule"] else row["type"]
    shown = {"setting": row["setting"], "type": text, "default": _value_text(row["default"])}
    shown |= dict.fromkeys(overlays) | given
    shown |= {"search": ", ".join(map(_value_text, row["search"]))} if row["search"] else {}
    shown |= {"tune": row["tune"]} if row["tune"] else {}
    return shown | {"description": row["description"]}


def _variant_rows(method: Method) -> list[Row]:
    rows = []
    for one in method.variants:
        changes = ", ".join(
            f"{key}={_value_text(v)}" for key, v in {**one.components, **one.settings}.items()
        )
        rows.append({"variant": one.name, "changes": changes, "summary": one.summary})
    return rows


def _value_text(value: object) -> str:
    """As a user would type it; learning rates need more digits than results."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def type_text(annotation: Any) -> str:
    """A type in a few words: ``float``, ``l2 | minmax``, ``int | None``.

    >>> type_text(float | None)
    'float | None'
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):  # Annotated[float, ...]
        return type_text(arguments[0])
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin in (Union, UnionType):
        return " | ".join(map(type_text, arguments))
    if origin is not None:
        return f"{origin.__name__}[{', '.join('...' if one is ... else type_text(one) for one in arguments)}]"
    return "None" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))
