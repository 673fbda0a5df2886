"""The lines of a suite's table and how each is run on each data set. Reads no data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zslbench.data.locations import find_dataset
from zslbench.errors import SettingsError, UnknownName, did_you_mean
from zslbench.experiment.datasets import DataFiles
from zslbench.experiment.published import PublishedResults, published_ablation
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.experiment.suites.definition import Row, RowOptions, Suite
from zslbench.plugin.declarations import FULL, Method, Variant
from zslbench.plugin.lookup import Registry
from zslbench.plugin.presets import preset_names


@dataclass(frozen=True)
class Line:
    """One line of a suite's table: a method in one variant and reading."""

    label: str
    """Its name in tables; unique in the suite."""
    method: str
    variant: str | None = None
    reading: str | None = None
    group: str = ""
    """``embedding`` or ``generative``."""
    published: str | None = None
    """The method's name in the published results; None: nothing is compared."""
    published_variant: str | None = None
    """The line's name in the method's published ablation (``full``: the method itself); None: it has none."""


@dataclass(frozen=True)
class Setup:
    """How a line is run on a data set."""

    recipe: Recipe | None
    """None: it cannot be run here."""
    files: DataFiles
    every: int | None
    keep_weights: bool
    state: Literal["ok", "no plugin", "no data"] = "ok"
    reason: str = ""
    """Why there is no recipe."""


@dataclass(frozen=True)
class ResolvedSuite:
    """A suite whose lines are resolved to recipes."""

    suite: Suite
    lines: tuple[Line, ...]
    setups: Mapping[tuple[str, str], Setup]
    """By label of a line and data set."""
    remarks: tuple[str, ...]
    """Settings that were ignored, and where, a line each."""


def resolve_suite(suite: Suite, registry: Registry, data_root: str | Path | None = None) -> ResolvedSuite:
    """Resolve every line on every data set.

    Options of the whole suite or of a command line apply to the methods that have them; those of a row must
    exist.

    Raises:
        SettingsError: a variant, reading, preset or setting that does not exist; names the line.
    """
    resolver = _Resolver(suite, registry, data_root)
    lines = tuple(resolver.line(row) for row in suite.rows)
    setups = {
        (line.label, dataset): resolver.setup(row, dataset)
        for line, row in zip(lines, suite.rows, strict=True)
        for dataset in suite.datasets
    }
    resolver.refuse_unused()
    _refuse_unpublished(suite, resolver.declared)
    return ResolvedSuite(suite, lines, setups, tuple(dict.fromkeys(resolver.remarks)))


class _Resolver:
    def __init__(self, suite: Suite, registry: Registry, data_root: str | Path | None) -> None:
        self.suite, self.registry, self.data_root = suite, registry, data_root
        self.remarks: list[str] = []
        self._settings: set[str] = set()
        """Settings that any line has."""
        self._presets: set[str] = set()
        """Presets that any method has."""
        self._complete = True
        """Whether every line could be resolved on every data set."""

    def declared(self, row: Row) -> Method | None:
        """The method of a row; None: no plugin provides it."""
        try:
            return self.registry.method(row.method).declaration
        except UnknownName:
            return None

    def line(self, row: Row) -> Line:
        variant = next(iter(row.variants), None)
        declared = self.declared(row)
        return Line(
            label=str(row.label),
            method=row.method,
            variant=None if variant == FULL else variant,
            reading=next(iter(row.readings), None),
            group=row.group or (declared.group if declared else _published_group(row)),
            published=None if row.published is False else row.published or row.method,
            # A row that names its variant belongs to an ablation, unless it is to be compared with something
            # else.
            published_variant=variant if row.published is None else None,
        )

    def setup(self, row: Row, dataset: str) -> Setup:
        general, own = self._layers(row, dataset)
        option = functools.partial(_nearest, [*general, *own, self.suite.override])
        setup = functools.partial(
            Setup,
            files=DataFiles(option("features"), option("semantics"), option("regions")),
            every=option("every"),
            keep_weights=bool(option("keep_weights")),
        )
        declared = self.declared(row)
        if declared is None:
            self._complete = False
            return setup(None, state="no plugin", reason=self._not_provided(row.method))
        variant = self._variant(row, declared)
        if lacking := self.registry.missing(declared, variant):
            self._complete = False
            names = ", ".join(f"{kind} '{name}'" for kind, name in lacking)
            return setup(None, state="no plugin", reason=f"no plugin provides {names}")
        try:
            find_dataset(self.registry, dataset, root=self.data_root)
        except UnknownName as error:
            self._complete = False
            return setup(None, state="no data", reason=str(error))
        try:
            return setup(self._recipe(row, dataset, declared, variant))
        except (UnknownName, SettingsError) as error:
            raise SettingsError(f"{self._where(row)} on {dataset}: {error}") from None

    def refuse_unused(self) -> None:
        """Refuse options of the whole suite that no line has: they are typos.

        In a part of a suite they may be meant for the rest. Where a plugin or a data set is missing they may
        be meant for that, and become remarks.
        """
        if not self._settings:
            return
        general = () if self.suite.part else (self.suite, *self.suite.on.values())
        refused = self._unused(self.suite.override)
        remarks = [text for one in general for text in self._unused(one)]
        if self._complete:
            refused, remarks = [*refused, *remarks], []
        if refused:
            raise SettingsError(f"{self.suite.where}: {'; '.join(refused)}")
        self.remarks += remarks

    def _unused(self, options: RowOptions) -> list[str]:
        settings = [one for one in options.settings if one not in self._settings]
        presets = [one for one in options.preset if _is_own(one) and one not in self._presets]
        return [
            *(f"no line has setting '{one}', {did_you_mean(one, self._settings)}" for one in settings),
            *(f"no line has preset '{one}', {did_you_mean(one, self._presets)}" for one in presets),
        ]

    def _layers(self, row: Row, dataset: str) -> tuple[list[RowOptions], list[RowOptions]]:
        """The options of the whole suite, and of this row; later ones win."""
        whole: list[RowOptions] = [self.suite, self.suite.on.get(dataset, RowOptions())]
        return whole, [row, row.on.get(dataset, RowOptions())]

    def _recipe(self, row: Row, dataset: str, declared: Method, variant: Variant | None) -> Recipe:
        general, own = self._layers(row, dataset)
        resolved = functools.partial(
            resolve,
            self.registry,
            dataset,
            method=declared.name,
            variant=variant.name if variant else None,
            reading=next(iter(row.readings), None),
            preset=self._preset(declared, general, own),
            data_root=self.data_root,
        )
        default = resolved()
        known = default.setting_names()
        self._settings |= known

        def existing(layers: Iterable[RowOptions]) -> dict[str, Any]:
            return {key: value for key, value in _merged(layers).items() if key in known}

        # A variant may swap components out: a row's settings of theirs, and its schedule, are then ignored.
        swapped = variant.components if variant else {}
        settings, epochs = _merged(own), _nearest(own, "epochs")
        ignored = [key for key in settings if key.partition(".")[0] in swapped and key not in known]
        settings = {key: value for key, value in settings.items() if key not in ignored}
        if default.schedule is None:
            if epochs is not None and swapped:
                ignored, epochs = [*ignored, "epochs"], None
        elif default.schedule in _merged([*own, self.suite.override]):  # the nearer option names it itself
            epochs = None
        elif epochs is None:
            epochs = _nearest(general, "epochs")
        if variant is not None and ignored:
            self.remarks.append(
                f"{row.label}: variant '{variant.name}' has no {', '.join(ignored)}: ignored there"
            )
        return resolved(
            settings=existing(general) | settings | existing([self.suite.override]), epochs=epochs
        )

    def _preset(
        self, declared: Method, general: Sequence[RowOptions], own: Sequence[RowOptions]
    ) -> tuple[str, ...] | None:
        """The presets of the nearest options that name any, without those that only other methods have."""
        available = preset_names(declared.presets)
        self._presets |= set(available)

        def applicable(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(one for one in names if one in available or not _is_own(one))

        nearest_first = [applicable(self.suite.override.preset), *(one.preset for one in reversed(own))]
        nearest_first += [applicable(one.preset) for one in reversed(general)]
        chosen = next((names for names in nearest_first if names), ())
        return tuple(map(self._preset_path, chosen)) or None

    def _preset_path(self, name: str) -> str:
        """A file named in the suite is relative to it; one of the command line, to the working directory."""
        folder = self.suite.folder
        if folder is None or not name.endswith(".toml") or name in self.suite.override.preset:
            return name
        return str(folder / name)

    def _variant(self, row: Row, declared: Method) -> Variant | None:
        known = {one.name: one for one in declared.variants}
        name = next(iter(row.variants), FULL)
        if name not in known and name != FULL:
            hint = did_you_mean(name, [*known, FULL])
            raise SettingsError(
                f"{self._where(row)}: method '{declared.name}' has no variant '{name}', {hint}"
            )
        return known.get(name)

    def _not_provided(self, method: str) -> str:
        hint = did_you_mean(method.lower(), [one.name for one in self.registry.methods()])
        # The name of a method with published results is not a misspelling.
        near = f", {hint}" if hint.startswith("did") and not PublishedResults.load().all(method) else ""
        broken = ", ".join(f"'{one.name}'" for one in self.registry.broken)
        return f"no plugin provides method '{method}'{near}" + (f" (broken: {broken})" if broken else "")

    def _where(self, row: Row) -> str:
        return f"{self.suite.where}: line '{row.label}'"


def _is_own(preset: str) -> bool:
    """Whether it is a preset of the line's own method, not of another method and not a file."""
    return ":" not in preset and not preset.endswith(".toml")


def _merged(layers: Iterable[RowOptions]) -> dict[str, Any]:
    return {key: value for one in layers for key, value in one.settings.items()}


def _nearest(layers: Sequence[RowOptions], name: str) -> Any:
    """An option's value in the last of these that has one."""
    return next((value for one in reversed(layers) if (value := getattr(one, name)) is not None), None)


def _published_group(row: Row) -> str:
    """The group of a method that no plugin provides; empty: nothing is published of it either."""
    rows = PublishedResults.load().all(row.published or row.method)
    return rows[0].group if rows else ""


def _refuse_unpublished(suite: Suite, declared: Callable[[Row], Method | None]) -> None:
    """Check the source and the methods that the suite is to be compared with.

    Raises:
        SettingsError: the published results, the methods' own ablations included, have no such source, or no
            such method.
    """
    results, source = PublishedResults.load(), suite.published_source
    if source is not None and source not in results.names("source"):
        methods = filter(None, map(declared, suite.rows))
        own = (one.source for method in methods for one in published_ablation(method).values())
        known = {*results.names("source"), *own}
        if source not in known:
            hint = did_you_mean(source, known)
            raise SettingsError(f"{suite.where}: no published source '{source}', {hint}")
    for row in suite.rows:
        if isinstance(row.published, str) and not results.all(row.published):
            hint = did_you_mean(row.published, results.names("method"))
            raise SettingsError(
                f"{suite.where}: line '{row.label}': no published results for '{row.published}', {hint}"
            )
