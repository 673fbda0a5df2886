"""What a method says of a run's settings: where they differ from its paper, say."""

from __future__ import annotations

import copy
from typing import Any

from zslbench.errors import PluginError
from zslbench.plugin.declarations import Method
from zslbench.plugin.lookup import Registered, Registry, one_line
from zslbench.plugin.targets import load_explain
from zslbench.store.record import RunRecord


def explain_settings(one: Registered[Method], settings: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """The rows of the method's ``explain`` for these settings; empty: it declares none.

    Raises:
        PluginError: the function cannot be imported, fails or returns something else than rows.
    """
    target = one.declaration.explain
    if target is None:
        return []
    function = load_explain(one)
    where = f"plugin '{one.plugin.name}': {target}"
    try:
        rows = list(function(settings))
    except Exception as error:
        raise PluginError(f"{where} failed: {one_line(error)}") from error
    for row in rows:
        if not isinstance(row, tuple | list) or len(row) != 2:
            raise PluginError(f"{where} returned {row!r}, which is no row (name, value)")
    return [(str(name), str(value)) for name, value in rows]


def explain_run(record: RunRecord, known: Registry) -> list[tuple[str, str]]:
    """The rows for the settings that a run had, chosen hyper-parameters included.

    A run of a method that is not installed (any more) has none.

    Raises:
        PluginError: as for :func:`explanation`.
    """
    methods = {one.name: one for one in known.methods()}
    if record.info.method not in methods:
        return []
    settings = copy.deepcopy(dict(record.info.identity["settings"]))
    for key, value in (record.environment.get("chosen") or {}).items():
        kind, _, name = key.partition(".")
        settings.setdefault(kind, {})[name] = value
    return explain_settings(methods[record.info.method], settings)
