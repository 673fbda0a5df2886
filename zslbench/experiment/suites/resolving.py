"""A suite's lines on its data sets, resolved to recipes, as far as somebody provides them. Reads no data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zslbench.data.folders import find_dataset
from zslbench.errors import SettingsError, UnknownName, did_you_mean
from zslbench.experiment.datasets import Which
from zslbench.experiment.published import PublishedResults
from zslbench.experiment.recipe import Recipe
from zslbench.experiment.suites.catalogue import Suite
from zslbench.experiment.suites.definition import Row, Wanted
from zslbench.experiment.suites.outcome import Line
from zslbench.experiment.suites.unknown import by_name, refuse_unprinted, unused
from zslbench.experiment.wishes import Wishes
from zslbench.plugin.declarations import FULL, Method, Variant
from zslbench.plugin.lookup import Registry
from zslbench.plugin.presets import preset_names
from zslbench.plugin.settings import fields_of


@dataclass(frozen=True)
class Resolved:
    """A line on a data set."""

    recipe: Recipe | None
    """None: there cannot be one here."""
    which: Which
    every: int | None
    keep_weights: bool
    state: Literal["ok", "no plugin", "no data"] = "ok"
    reason: str = ""


@dataclass(frozen=True)
class ResolvedSuite:
    """A suite with its recipes."""

    suite: Suite
    lines: tuple[Line, ...]
    places: Mapping[tuple[str, str], Resolved]
    """By label of a line and data set."""
    remarks: tuple[str, ...]
    """What was left out where, a line each."""


def resolve_suite(suite: Suite, registry: Registry, data_root: str | Path | None = None) -> ResolvedSuite:
    """Resolve every line on every data set.

    What the suite says for all of its lines, and what a command line sets, holds where a method has it; what
    a row says must be right.

    Raises:
        SettingsError: a variant, reading, preset or setting that does not exist; says which line it is of.
    """
    resolver = _Resolver(suite, registry, data_root)
    lines = tuple(resolver.line(row) for row in suite.rows)
    places = {
        (line.label, dataset): resolver.place(row, dataset)
        for line, row in zip(lines, suite.rows, strict=True)
        for dataset in suite.datasets
    }
    resolver.refuse_unused()
    refuse_unprinted(suite, resolver.declared)
    return ResolvedSuite(suite, lines, places, tuple(dict.fromkeys(resolver.remarks)))


class _Resolver:
    def __init__(self, suite: Suite, registry: Registry, data_root: str | Path | None) -> None:
        self.suite, self.registry, self.data_root = suite, registry, data_root
        self.remarks: list[str] = []
        self._known: set[str] = set()
        """Settings that any line has."""
        self._presets: set[str] = set()
        """Presets that any method has."""
        self._complete = True

    def line(self, row: Row) -> Line:
        named = row.variants[0] if row.variants else None
        declared = self.declared(row)
        return Line(
            label=str(row.label),
            method=row.method,
            variant=None if named == FULL else named,
            reading=row.readings[0] if row.readings else None,
            group=row.group or (declared.group if declared else _printed_group(row)),
            published=None if row.published is False else row.published or row.method,
            # A row that names its variant is one of an ablation, unless it says whose figures it has.
            published_variant=named if row.published is None else None,
        )

    def place(self, row: Row, dataset: str) -> Resolved:
        general, own = self._layers(row, dataset)
        last_first = (self.suite.override, *reversed(own), *reversed(general))

        def first(name: str) -> Any:
            return next((value for one in last_first if (value := getattr(one, name)) is not None), None)

        rest = (
            Which(first("features"), first("semantics"), first("regions")),
            first("every"),
            bool(first("keep_weights")),
        )
        declared = self.declared(row)
        variant = None if declared is None else self._variant(row, declared)
        if declared is None:
            return self._without(rest, "no plugin", self._unprovided(row.method))
        if lacking := self.registry.missing(declared, variant):
            names = ", ".join(f"{kind} '{name}'" for kind, name in lacking)
            return self._without(rest, "no plugin", f"no plugin provides {names}")
        try:
            find_dataset(self.registry, dataset, data_root=self.data_root)
        except UnknownName as error:
            return self._without(rest, "no data", str(error))
        try:
            return Resolved(self._recipe(row, dataset, declared, variant), *rest)
        except (UnknownName, SettingsError) as error:
            raise SettingsError(self._told(row, f" on {dataset}: {error}")) from None

    def refuse_unused(self) -> None:
        """What is said for all lines and none of them has is a typing error.

        Of a part it may be meant for the rest. Where something is not here it may be meant for that, so that
        it is a remark.
        """
        definition, override = self.suite.definition, self.suite.override
        general = () if self.suite.part else (definition, *definition.on.values())
        if not self._known:
            return
        refused = unused(override, self._known, self._presets)
        remarked = [text for one in general for text in unused(one, self._known, self._presets)]
        if self._complete:
            refused, remarked = [*refused, *remarked], []
        if refused:
            raise SettingsError(f"suite {self.suite.where}: {'; '.join(refused)}")
        self.remarks += remarked

    def _layers(self, row: Row, dataset: str) -> tuple[list[Wanted], list[Wanted]]:
        """What is said for all lines and for this one, the later wins."""
        definition = self.suite.definition
        general: list[Wanted] = [definition, definition.on.get(dataset, Wanted())]
        own: list[Wanted] = [row, row.on.get(dataset, Wanted())]
        return general, own

    def _recipe(self, row: Row, dataset: str, declared: Method, variant: Variant | None) -> Recipe:
        general, own = self._layers(row, dataset)
        others = {
            "preset": self._preset(declared, general, own),
            "reading": row.readings[0] if row.readings else None,
            "data_root": self.data_root,
        }
        bare = Wishes(self.registry, declared, {}, None, others).recipe(variant, dataset)
        there = {
            f"{kind}.{name}" for kind, part in bare.parts.items() for name in fields_of(type(part.settings))
        }
        self._known |= there

        def merged(layers: Sequence[Wanted]) -> dict[str, Any]:
            return {key: value for one in layers for key, value in one.settings.items()}

        def had(layers: Sequence[Wanted]) -> dict[str, Any]:
            return {key: value for key, value in merged(layers).items() if key in there}

        settings = had(general) | merged(own) | had([self.suite.override])
        epochs = _last(own)
        if epochs is None and bare.schedule is not None:
            epochs = _last(general)
        if bare.schedule in merged(
            [*own, self.suite.override]
        ):  # a row that names the schedule's setting itself
            epochs = None
        wishes = Wishes(self.registry, declared, settings, epochs, others)
        recipe = wishes.recipe(variant, dataset)
        self.remarks += [f"{row.label}: {text}" for text in wishes.remarks]
        return recipe

    def _preset(
        self, declared: Method, general: Sequence[Wanted], own: Sequence[Wanted]
    ) -> tuple[str, ...] | None:
        has = preset_names(declared.presets)
        self._presets |= set(has)

        def meant(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(one for one in names if one in has or not by_name(one))

        said = [meant(self.suite.override.preset), *(one.preset for one in reversed(own))]
        said += [meant(one.preset) for one in reversed(general)]
        chosen = next((names for names in said if names), ())
        return tuple(map(self._beside, chosen)) or None

    def _beside(self, name: str) -> str:
        """A file that the suite names lies beside it; one of the command line where that says."""
        folder = self.suite.folder
        if folder is None or not name.endswith(".toml") or name in self.suite.override.preset:
            return name
        return str(folder / name)

    def declared(self, row: Row) -> Method | None:
        """The method that a row is of; None: no plugin provides it."""
        try:
            return self.registry.method(row.method).declaration
        except UnknownName:
            return None

    def _variant(self, row: Row, declared: Method) -> Variant | None:
        known = {one.name: one for one in declared.variants}
        name = row.variants[0] if row.variants else FULL
        if name not in known and name != FULL:
            hint = did_you_mean(name, [*known, FULL])
            raise SettingsError(
                self._told(row, f": method '{declared.name}' has no variant '{name}', {hint}")
            )
        return known.get(name)

    def _without(
        self, rest: tuple[Which, int | None, bool], state: Literal["no plugin", "no data"], reason: str
    ) -> Resolved:
        self._complete = False
        return Resolved(None, *rest, state, reason)

    def _unprovided(self, method: str) -> str:
        hint = did_you_mean(method.lower(), [one.name for one in self.registry.methods()])
        # One that is published of is spelt as meant.
        near = f", {hint}" if hint.startswith("did") and not PublishedResults.load().all(method) else ""
        broken = ", ".join(f"'{one.name}'" for one in self.registry.broken)
        return f"no plugin provides method '{method}'{near}" + (f" (broken: {broken})" if broken else "")

    def _told(self, row: Row, text: str) -> str:
        return f"suite {self.suite.where}: line '{row.label}'{text}"


def _last(layers: Sequence[Wanted]) -> int | None:
    return next((one.epochs for one in reversed(layers) if one.epochs is not None), None)


def _printed_group(row: Row) -> str:
    """Where the published results put a method that no plugin provides; empty: nothing is published of it."""
    rows = PublishedResults.load().all(row.published or row.method)
    return rows[0].group if rows else ""
