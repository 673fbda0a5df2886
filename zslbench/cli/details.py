"""``zslbench methods NAME``: a method with its settings, presets, readings and variants."""

from __future__ import annotations

import sys
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import click

from zslbench.cli.options import note
from zslbench.errors import PluginError
from zslbench.plugin.declarations import Kind, Method
from zslbench.plugin.lookup import Registered, Registry
from zslbench.plugin.presets import preset_names, read_preset
from zslbench.plugin.settings import default_of, fields_of
from zslbench.plugin.targets import settings_model
from zslbench.report.tables.render import emit, json_text

Record = dict[str, Any]


def show_method(known: Registry, one: Registered[Method], facts: Record, fmt: str) -> None:
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
            {"reading": one.name, "summary": one.summary, "settings": one.settings, "default": not place}
            for place, one in enumerate(method.readings)
        ]
        variants = [
            {
                "variant": one.name,
                "summary": one.summary,
                "settings": one.settings,
                "components": one.components,
            }
            for one in method.variants
        ]
        everything = {**facts, "settings": settings, "readings": readings, "variants": variants}
        sys.stdout.write(json_text(everything))
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
            click.echo(f"{name:<{width}}  {'–' if shown is None else shown}")
    else:
        emit([{"": name, method.name: value} for name, value in facts.items()], fmt)
    title = "settings, with the values of each [reading] and preset" if overlays else "settings"
    tables = [(title, rows)]
    if fmt == "terminal":  # descriptions are too long for a column
        values = [{key: value for key, value in row.items() if key != "description"} for row in rows]
        descriptions = [{"setting": row["setting"], "description": row["description"]} for row in rows]
        tables = [(title, values), ("descriptions", descriptions)]
    readings = [  # their settings are columns of the table of settings
        {"reading": f"{one.name}{'' if place else ' (default)'}", "summary": one.summary}
        for place, one in enumerate(method.readings)
    ]
    tables += [("readings", readings), ("variants", _variant_rows(method))]
    for heading, table in tables:
        if table:
            click.echo()
            emit(table, fmt, title=heading)


def _settings(known: Registry, method: Method) -> list[Record]:
    """Each setting of each registered component, with this method's default."""
    rows: list[Record] = []
    missing = dict(known.missing(method))
    kinds: tuple[Kind, ...] = ("embedding", "generator", "classifier")
    for kind in kinds:
        name = getattr(method, kind)
        if name is None or kind in missing:
            continue
        try:
            model = settings_model(known.component(kind, name))
        except PluginError as error:  # the rest can still be shown
            note(str(error))
            continue
        for field, info in fields_of(model).items():
            key = f"{kind}.{field}"
            row: Record = {"setting": key, "type": type_text(info.annotation)}
            row["default"] = method.settings.get(key, default_of(model, field))
            row["search"] = list(method.search.get(key, ()))
            row["tune"] = str(method.tunable[key]) if key in method.tunable else None
            rows.append(row | {"description": info.description})
    return rows


def _values(overlays: dict[str, Record], setting: str) -> Record:
    """The values of a setting, by the preset or reading that sets it."""
    return {name: values[setting] for name, values in overlays.items() if setting in values}


def _settings_row(row: Record, overlays: dict[str, Record]) -> Record:
    given = {name: _value_text(value) for name, value in _values(overlays, row["setting"]).items()}
    shown = {"setting": row["setting"], "type": row["type"], "default": _value_text(row["default"])}
    shown |= dict.fromkeys(overlays) | given
    shown |= {"search": ", ".join(map(_value_text, row["search"]))} if row["search"] else {}
    shown |= {"tune": row["tune"]} if row["tune"] else {}
    return shown | {"description": row["description"]}


def _variant_rows(method: Method) -> list[Record]:
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
