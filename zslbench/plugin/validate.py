"""Checks what a declaration's own constructor leaves open: the type of every field.

Declarations are plain dataclasses, so a summary that is a number or a variant that is a dictionary would
otherwise surface much later, in a run, as an error about something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zslbench.plugin.declarations import Command, Component, Method, Options, Range, Reading, Tracker, Variant


def faults(declaration: Command | Component | Method | Tracker) -> list[str]:
    """Everything malformed about a declaration, each fault one phrase; empty: it is sound."""
    if isinstance(declaration, Component):
        where = f"{declaration.kind} {declaration.name!r}"
        return _wrong(where, declaration, ("summary", "paper"), str, "a string")
    if isinstance(declaration, Command):
        return _wrong(f"command {declaration.name!r}", declaration, ("summary",), str, "a string")
    if isinstance(declaration, Tracker):
        where = f"tracker {declaration.name!r}"
        return [
            *_wrong(where, declaration, ("summary",), str, "a string"),
            *_wrong(where, declaration, ("extra",), (str, type(None)), "a string or None"),
        ]
    where = f"method {declaration.name!r}"
    wrong = [
        *_wrong(where, declaration, ("embedding", "classifier", "summary", "paper"), str, "a string"),
        *_wrong(where, declaration, ("generator", "presets"), (str, type(None)), "a string or None"),
        *_wrong(where, declaration, ("explain", "published"), (str, type(None)), "a string or None"),
        *_wrong(where, declaration, ("settings", "search", "tunable"), Mapping, "a mapping"),
        *_wrong(where, declaration, ("tasks", "variants", "readings"), (tuple, list), "a tuple"),
    ]
    if wrong:  # what follows reads the fields as what they ought to be
        return wrong
    found = _search_faults(where, declaration.search)
    found += [
        f"{where}: tunable {key!r} offers {space!r}, which is neither a Range nor Options"
        for key, space in declaration.tunable.items()
        if not isinstance(space, Range | Options)
    ]
    found += [one for variant in declaration.variants for one in _variant_faults(where, variant)]
    return found + [one for reading in declaration.readings for one in _reading_faults(where, reading)]


def _wrong(where: str, thing: Any, names: tuple[str, ...], types: Any, wanted: str) -> list[str]:
    values = ((name, getattr(thing, name)) for name in names)
    return [
        f"{where}: {name} {value!r} is not {wanted}" for name, value in values if not isinstance(value, types)
    ]


def _search_faults(where: str, search: Mapping[str, Any]) -> list[str]:
    return [
        f"{where}: search {key!r} offers {candidates!r}, which is not a tuple of candidates"
        for key, candidates in search.items()
        if not isinstance(candidates, tuple | list) or not candidates
    ]


def _variant_faults(where: str, variant: object) -> list[str]:
    if not isinstance(variant, Variant):
        return [f"{where}: variant {variant!r} is not a Variant"]
    where = f"{where}, variant {variant.name!r}"
    wrong = _wrong(where, variant, ("summary",), str, "a string")
    wrong += _wrong(where, variant, ("settings", "components"), Mapping, "a mapping")
    if wrong:
        return wrong
    return [
        f"{where}: {kind} {name!r} is not a component's name"
        for kind, name in variant.components.items()
        if not isinstance(name, str) and not (name is None and kind == "generator")
    ]


def _reading_faults(where: str, reading: object) -> list[str]:
    if not isinstance(reading, Reading):
        return [f"{where}: reading {reading!r} is not a Reading"]
    where = f"{where}, reading {reading.name!r}"
    wrong = _wrong(where, reading, ("summary",), str, "a string")
    return wrong + _wrong(where, reading, ("settings",), Mapping, "a mapping")
