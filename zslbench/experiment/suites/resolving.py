"""A suite's lines on its data sets, resolved to recipes where plugins provide them. Reads no data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zslbench.data.locations import find_dataset
from zslbench.errors import SettingsError, UnknownName, did_you_mean
from zslbench.experiment.datasets import DataFiles
from zslbench.experiment.published import PublishedResults, published_ablation
from zslbench.experiment.recipe import Recipe, Request
from zslbench.experiment.suites import Row, RowOptions, Suite
from zslbench.plugin.declarations import FULL, Method, Variant
from zslbench.plugin.lookup import Registry
from zslbench.plugin.presets import preset_names
from zslbench.plugin.settings import fields_of


@dataclass(frozen=True)
class Line:
    """One row of a suite's table: a method in one variant and reading."""

    label: str
    """Its name in tables; unique in the suite."""
    method: str
    variant: str | None = None
    reading: str | None = None
    group: str = ""
    """``embedding`` or ``generative``."""
    published: str | None = None
    """The method's name in the published results; None: it is not compared with any."""
    published_variant: str | None = None
    """Its name in the method's published ablation (``full``: the method itself); None: it has none."""


@dataclass(frozen=True)
class Resolved:
    """A line on a data set."""

    recipe: Recipe | None
    """None: it cannot be resolved here."""
    files: DataFiles
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
    """What was left out, and where, a line each."""


def resolve_suite(suite: Suite, registry: Registry, data_root: str | Path | None = None) -> ResolvedSuite:
    """Resolve every line on every data set.

    What is set for all lines, or by a command line, holds for the methods that have it; what a row sets must
    be right.

    Raises:
        SettingsError: a variant, reading, preset or setting that does not exist; names the line.
    """
    resolver = _Resolver(suite, registry, data_root)
    lines = tuple(resolver.line(row) for row in suite.rows)
    places = {
        (line.label, dataset): resolver.place(row, dataset)
        for line, row in zip(lines, suite.rows, strict=True)
        for dataset in suite.datasets
    }
    resolver.refuse_unused()
    _refuse_unpublished(suite, resolver.declared)
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
            # A row that names its variant belongs to an ablation, unless it says whose figures it is compared
            # with.
            published_variant=named if row.published is None else None,
        )

    def place(self, row: Row, dataset: str) -> Resolved:
        general, own = self._layers(row, dataset)
        nearest_first = (self.suite.override, *reversed(own), *reversed(general))

        def first(name: str) -> Any:
            return next((value for one in nearest_first if (value := getattr(one, name)) is not None), None)

        rest = (
            DataFiles(first("features"), first("semantics"), first("regions")),
            first("every"),
            bool(first("keep_weights")),
        )
        declared = self.declared(row)
        variant = None if declared is None else self._variant(row, declared)
        if declared is None:
            return self._unresolved(rest, "no plugin", self._unprovided(row.method))
        if lacking := self.registry.missing(declared, variant):
            names = ", ".join(f"{kind} '{name}'" for kind, name in lacking)
            return self._unresolved(rest, "no plugin", f"no plugin provides {names}")
        try:
            find_dataset(self.registry, dataset, root=self.data_root)
        except UnknownName as error:
            return self._unresolved(rest, "no data", str(error))
        try:
            return Resolved(self._recipe(row, dataset, declared, variant), *rest)
        except (UnknownName, SettingsError) as error:
            raise SettingsError(self._message(row, f" on {dataset}: {error}")) from None

    def refuse_unused(self) -> None:
        """Refuse what is set for all lines although none of them has it: it is a typing error.

        In a part of a suite it may be meant for the rest. Where a plugin or a data set is absent it may be
        meant for that, and becomes a remark.
        """
        definition, override = self.suite.definition, self.suite.override
        general = () if self.suite.part else (definition, *definition.on.values())
        if not self._known:
            return
        refused = _unused(override, self._known, self._presets)
        remarked = [text for one in general for text in _unused(one, self._known, self._presets)]
        if self._complete:
            refused, remarked = [*refused, *remarked], []
        if refused:
            raise SettingsError(f"{self.suite.where}: {'; '.join(refused)}")
        self.remarks += remarked

    def _layers(self, row: Row, dataset: str) -> tuple[list[RowOptions], list[RowOptions]]:
        """What is set for all lines, and for this one; the later wins."""
        definition = self.suite.definition
        general: list[RowOptions] = [definition, definition.on.get(dataset, RowOptions())]
        own: list[RowOptions] = [row, row.on.get(dataset, RowOptions())]
        return general, own

    def _recipe(self, row: Row, dataset: str, declared: Method, variant: Variant | None) -> Recipe:
        general, own = self._layers(row, dataset)
        others = {
            "preset": self._preset(declared, general, own),
            "reading": row.readings[0] if row.readings else None,
            "data_root": self.data_root,
        }
        bare = Request(self.registry, declared, {}, None, others).recipe(variant, dataset)
        known = {
            f"{kind}.{name}" for kind, part in bare.parts.items() for name in fields_of(type(part.settings))
        }
        self._known |= known

        def merged(layers: Sequence[RowOptions]) -> dict[str, Any]:
            return {key: value for one in layers for key, value in one.settings.items()}

        def known_ones(layers: Sequence[RowOptions]) -> dict[str, Any]:
            return {key: value for key, value in merged(layers).items() if key in known}

        settings = known_ones(general) | merged(own) | known_ones([self.suite.override])
        epochs = _last(own)
        if epochs is None and bare.schedule is not None:
            epochs = _last(general)
        if bare.schedule in merged(
            [*own, self.suite.override]
        ):  # a row that names the schedule's setting itself
            epochs = None
        request = Request(self.registry, declared, settings, epochs, others)
        recipe = request.recipe(variant, dataset)
        self.remarks += [f"{row.label}: {text}" for text in request.remarks]
        return recipe

    def _preset(
        self, declared: Method, general: Sequence[RowOptions], own: Sequence[RowOptions]
    ) -> tuple[str, ...] | None:
        has = preset_names(declared.presets)
        self._presets |= set(has)

        def meant(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(one for one in names if one in has or not _by_name(one))

        chosen = [meant(self.suite.override.preset), *(one.preset for one in reversed(own))]
        chosen += [meant(one.preset) for one in reversed(general)]
        first = next((names for names in chosen if names), ())
        return tuple(map(self._preset_path, first)) or None

    def _preset_path(self, name: str) -> str:
        """A file named in the suite is relative to it; one of the command line, to the working directory."""
        folder = self.suite.folder
        if folder is None or not name.endswith(".toml") or name in self.suite.override.preset:
            return name
        return str(folder / name)

    def declared(self, row: Row) -> Method | None:
        """The method of a row; None: no plugin provides it."""
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
                self._message(row, f": method '{declared.name}' has no variant '{name}', {hint}")
            )
        return known.get(name)

    def _unresolved(
        self, rest: tuple[DataFiles, int | None, bool], state: Literal["no plugin", "no data"], reason: str
    ) -> Resolved:
        self._complete = False
        return Resolved(None, *rest, state, reason)

    def _unprovided(self, method: str) -> str:
        hint = did_you_mean(method.lower(), [one.name for one in self.registry.methods()])
        # The name of a method with published results is not a misspelling.
        near = f", {hint}" if hint.startswith("did") and not PublishedResults.load().all(method) else ""
        broken = ", ".join(f"'{one.name}'" for one in self.registry.broken)
        return f"no plugin provides method '{method}'{near}" + (f" (broken: {broken})" if broken else "")

    def _message(self, row: Row, text: str) -> str:
        return f"{self.suite.where}: line '{row.label}'{text}"


def _by_name(preset: str) -> bool:
    """Whether it names a preset of the line's own method, neither another method's nor a file."""
    return ":" not in preset and not preset.endswith(".toml")


def _unused(options: RowOptions, settings: Collection[str], presets: Collection[str]) -> list[str]:
    """What is set for all lines although none of them has it, a line of text each.

    Args:
        options: of the suite, of a data set in it, or of a command line.
        settings: those that any line has.
        presets: those that any line's method has.
    """
    faults = [
        f"no line has setting '{one}', {did_you_mean(one, settings)}"
        for one in options.settings
        if one not in settings
    ]
    named = [one for one in options.preset if _by_name(one) and one not in presets]
    return faults + [f"no line has preset '{one}', {did_you_mean(one, presets)}" for one in named]


def _refuse_unpublished(suite: Suite, declared: Callable[[Row], Method | None]) -> None:
    """Check the source and the names of methods that the suite is to be compared with.

    Args:
        suite: the suite.
        declared: the method of a row; its own ablation is published as well.

    Raises:
        SettingsError: the published results have no such source, or no such method.
    """
    results, source = PublishedResults.load(), suite.definition.published_source
    if source is not None and source not in results.sources:
        methods = filter(None, map(declared, suite.rows))
        known = {
            *results.sources,
            *(one.source for method in methods for one in published_ablation(method).values()),
        }
        if source not in known:
            hint = did_you_mean(source, known)
            raise SettingsError(f"{suite.where}: nothing published has the source '{source}', {hint}")
    for row in suite.rows:
        if isinstance(row.published, str) and not results.all(row.published):
            hint = did_you_mean(row.published, results.methods)
            raise SettingsError(
                f"{suite.where}: line '{row.label}': nothing is published of '{row.published}', {hint}"
            )


def _last(layers: Sequence[RowOptions]) -> int | None:
    return next((one.epochs for one in reversed(layers) if one.epochs is not None), None)


def _printed_group(row: Row) -> str:
    """The group of a method that no plugin provides, from the published results; empty: they lack it."""
    rows = PublishedResults.load().all(row.published or row.method)
    return rows[0].group if rows else ""
