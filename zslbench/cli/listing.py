"""``zslbench methods``, ``datasets`` and ``plugins``: what is there and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from zslbench.cli.options import data_root_option, format_option, note
from zslbench.plugin.declarations import Method, Variant
from zslbench.plugin.discovery import registry
from zslbench.plugin.lookup import PluginInfo, Registered, Registry
from zslbench.report.formats import emit

Row = dict[str, Any]


@click.command()
@click.argument("name", required=False)
@format_option
def methods(name: str | None, fmt: str) -> None:
    """List methods; with a NAME, show that method's composition, settings, presets, readings and variants."""
    known = registry()
    if name is not None:
        from zslbench.cli.details import show_method

        show_method(known, known.method(name), fmt)
        return
    _note_broken(known)
    rows = [_method_row(known, one) for one in known.methods()]
    if fmt in ("csv", "json"):
        emit(rows, fmt)
        return
    shown = ("method", "composition", "variants", "group", "paper", "from", "status")
    emit([_for_people(row, shown) for row in rows], fmt, title="methods")


@click.command()
@data_root_option
@format_option
def datasets(data_root: Path | None, fmt: str) -> None:
    """List data sets: those that plugins register, and folders in xlsa17 format under the data root."""
    from zslbench.data import roots
    from zslbench.data.folders import folder_datasets

    known = registry()
    _note_broken(known)
    root = roots.data_root(data_root)
    folders = roots.folder_datasets(root)
    registered = {one.name: one for one in known.components("dataset")}
    rows = [
        {
            "dataset": name,
            "summary": one.declaration.summary,
            # A data set may lie elsewhere or need no folder: without one of its name nothing is claimed.
            "folder": str(folders[name]) if name in folders else None,
            "paper": one.declaration.paper or None,
            **_origin(one.plugin),
        }
        for name, one in sorted((folder_datasets(data_root) | registered).items())
    ]
    if fmt in ("csv", "json"):
        emit(rows, fmt)
        return
    shown = ("dataset", "summary", "folder", "paper", "from")
    emit([_for_people(row, shown) for row in rows], fmt, title=f"data sets (data root {root})")


@click.command()
@format_option
def plugins(fmt: str) -> None:
    """List plugins with what they provide, and why a broken one is broken."""
    known = registry()
    rows: list[Row] = [
        {
            "plugin": one.name,
            "status": one.status,
            "reason": one.reason or None,
            "components": sum(it.plugin == one for it in known.components()),
            "methods": sum(it.plugin == one for it in known.methods()),
            "trackers": sum(it.plugin == one for it in known.trackers()),
            "module": one.module,
            "distribution": one.distribution or None,
            "version": one.version or None,
        }
        for one in known.plugins
    ]
    if fmt not in ("csv", "json"):
        rows = [{key: value for key, value in row.items() if key != "reason"} for row in rows]
    emit(rows, fmt, title="plugins")
    if fmt not in ("csv", "json"):
        for one in known.broken:  # a reason is a sentence: in a column it would squeeze all others
            click.echo(f"plugin '{one.name}' is broken: {one.reason}", err=fmt != "terminal")


@click.command()
@format_option
def trackers(fmt: str) -> None:
    """List trackers, which follow runs where --track NAME asks for them, and what each still needs."""
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
    if fmt in ("csv", "json"):
        emit(rows, fmt)
        return
    emit([_for_people(row, ("tracker", "summary", "status", "from")) for row in rows], fmt, title="trackers")


def composition_text(method: Method) -> str:
    """``"identity + tf-vaegan + softmax"``; a method without a generator shows ``–`` in its place."""
    return " + ".join([method.embedding, method.generator or "–", method.classifier])


def status_text(known: Registry, method: Method) -> str:
    """``"ok"``, or which components the method or one of its variants names in vain."""
    wanting: dict[str, None] = {}
    options: Sequence[Variant | None] = (None, *method.variants)
    for variant in options:
        for kind, name in known.missing(method, variant):
            wanting.setdefault(f"{kind} '{name}'")
    return f"missing: {', '.join(wanting)}" if wanting else "ok"


def _method_row(known: Registry, one: Registered[Method]) -> Row:
    method = one.declaration
    return {
        "method": method.name,
        "summary": method.summary,
        "composition": composition_text(method),
        "embedding": method.embedding,
        "generator": method.generator,
        "classifier": method.classifier,
        "variants": [variant.name for variant in method.variants],
        "readings": [reading.name for reading in method.readings],
        "group": method.group,
        "tasks": list(method.tasks),
        "paper": method.paper or None,
        **_origin(one.plugin),
        "status": status_text(known, method),
    }


def _origin(plugin: PluginInfo) -> Row:
    return {
        "plugin": plugin.name,
        "distribution": plugin.distribution or None,
        "version": plugin.version or None,
    }


def _for_people(row: Mapping[str, Any], shown: Sequence[str]) -> Row:
    """Fewer columns: where something comes from is one of them."""
    where = PluginInfo(row["plugin"], "", row["distribution"] or "", row["version"] or "")
    return {name: {**row, "from": where.origin}[name] for name in shown}


def _note_broken(known: Registry) -> None:
    for one in known.broken:
        note(f"plugin '{one.name}' is broken and left out: {one.reason}")
