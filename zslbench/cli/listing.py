"""``zslbench methods``, ``datasets``, ``trackers`` and ``plugins``: what is installed, and from where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from zslbench.cli.options import data_root_option, format_option, note
from zslbench.plugin.declarations import Method, Variant
from zslbench.plugin.discovery import registry
from zslbench.plugin.lookup import PluginInfo, Registered, Registry
from zslbench.report.tables.render import emit

Row = dict[str, Any]


@click.command()
@click.argument("name", required=False)
@format_option
def methods(name: str | None, fmt: str) -> None:
    """List methods, or show the composition, settings, presets, readings and variants of the method NAME."""
    known = registry()
    if name is not None:
        from zslbench.cli.details import show_method

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
    from zslbench.data import locations
    from zslbench.data.locations import folder_components

    known = registry()
    _note_broken(known)
    root = locations.data_root(data_root)
    folders = locations.dataset_folders(root)
    registered = {one.name: one for one in known.components("dataset")}
    rows = [
        {
            "dataset": name,
            "summary": one.declaration.summary,
            # None does not mean absent: a data set may be stored elsewhere or need no folder.
            "folder": str(folders[name]) if name in folders else None,
            "paper": one.declaration.paper or None,
            **_origin(one.plugin),
        }
        for name, one in sorted((folder_components(data_root) | registered).items())
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
        click.echo(f"plugin '{one.name}' is broken: {one.reason}", err=fmt != "terminal")


@click.command()
@format_option
def trackers(fmt: str) -> None:
    """List trackers for --track, and what each still needs to be installed."""
    from zslbench.plugin.targets import install_advice, missing_modules

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
