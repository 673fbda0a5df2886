"""``zslbench methods NAME``: one method with its settings, presets, readings and variants."""

from __future__ import annotations

import sys
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import click

from zslbench.cli.options import note
from zslbench.errors import PluginError
from zslbench.plugin.declarations import Component, Kind, Method
from zslbench.plugin.lookup import Registered, Registry
from zslbench.plugin.presets import preset_names, read_preset
from zslbench.plugin.settings import default_of, fields_of
from zslbench.plugin.targets import settings_model
from zslbench.report.tables.render import emit, json_text

Row = dict[str, Any]


def show_method(known: Registry, one: Registered[Method], facts: Row, fmt: str) -> None:
    """Write everything about a method: facts, settings, readings and variants.

    ``json`` is one object, ``csv`` only the table of settings.

    Args:
        facts: its entry in the list of methods.
    """
    method = one.declaration
    presets = {name: read_preset(method.presets, name).settings for name in preset_names(method.presets)}
    settings = _settings(known, method)
    overlays = {f"[{one.name}]": dict(one.settings) for one in method.readings if one.settings} | presets
    readings: list[Row] = [
        {"reading": one.name, "summary": one.summary, "settings": dict(one.settings), "default": not place}
        for place, one in enumerate(method.readings)
    ]
    variants: list[Row] = [
        {
            "variant": variant.name,
            "summary": variant.summary,
            "settings": dict(variant.settings),
            "components": dict(variant.components),
        }
        for variant in method.variants
    ]
    if fmt == "json":
        with_presets = [{**row, "presets": _set_by(presets, row["setting"])} for row in settings]
        sys.stdout.write(
            json_text({**facts, "settings": with_presets, "readings": readings, "variants": variants})
        )
        return
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
    tables = [
        (title, rows),
        ("readings", [_reading_row(row) for row in readings]),
        ("variants", [_variant_row(row) for row in variants]),
    ]
    if fmt == "terminal":  # descriptions are too long for a column
        values = [{key: value for key, value in row.items() if key != "description"} for row in rows]
        meanings = [{"setting": row["setting"], "meaning": row["description"]} for row in rows]
        tables[:1] = [(title, values), ("descriptions", meanings)]
    for heading, table in tables:
        if table:
            click.echo()
            emit(table, fmt, title=heading)


def _settings(known: Registry, method: Method) -> list[Row]:
    """Each setting of each registered component, with this method's default."""
    rows: list[Row] = []
    missing = dict(known.missing(method))
    names: dict[Kind, str | None] = {
        "embedding": method.embedding,
        "generator": method.generator,
        "classifier": method.classifier,
    }
    for kind, name in names.items():
        if name is not None and kind not in missing:
            try:
                rows += _component_settings(known.component(kind, name), method)
            except PluginError as error:  # the rest can still be shown
                note(str(error))
    return rows


def _component_settings(component: Registered[Component], method: Method) -> list[Row]:
    rows = []
    model = settings_model(component)
    for name, info in fields_of(model).items():
        key = f"{component.declaration.kind}.{name}"
        rows.append(
            {
                "setting": key,
                "type": type_text(info.annotation),
                "default": method.settings.get(key, default_of(model, name)),
                "search": list(method.search.get(key, ())),
                "tune": str(method.tunable[key]) if key in method.tunable else None,
                "description": info.description,
            }
        )
    return rows


def _set_by(presets: dict[str, Row], setting: str) -> Row:
    return {name: values[setting] for name, values in presets.items() if setting in values}


def _settings_row(row: Row, overlays: dict[str, Row]) -> Row:
    given = _set_by(overlays, row["setting"])
    searched = {"search": ", ".join(map(_value_text, row["search"]))} if row["search"] else {}
    searched |= {"tune": row["tune"]} if row["tune"] else {}
    columns = {name: _value_text(given[name]) if name in given else None for name in overlays}
    return {
        "setting": row["setting"],
        "type": row["type"],
        "default": _value_text(row["default"]),
        **columns,
        **searched,
        "description": row["description"],
    }


def _reading_row(row: Row) -> Row:
    name = f"{row['reading']} (default)" if row["default"] else row["reading"]
    return {"reading": name, "summary": row["summary"]}  # its settings are a column of their table


def _variant_row(row: Row) -> Row:
    changes = {**row["components"], **row["settings"]}
    texts = [f"{key}={_value_text(value)}" for key, value in changes.items()]
    return {"variant": row["variant"], "changes": ", ".join(texts), "summary": row["summary"]}


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
