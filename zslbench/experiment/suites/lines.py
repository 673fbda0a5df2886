"""The lines of a suite's table, and its cells: the runs that each line needs. Reads no data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zslbench.data.named import find_dataset
from zslbench.errors import SettingsError, UnknownName, did_you_mean
from zslbench.evaluation.candidates import ALL, TEST
from zslbench.evaluation.selection import Selection
from zslbench.experiment.datasets import DataFiles
from zslbench.experiment.job import requested, versions
from zslbench.experiment.published import PublishedResults, published_ablation
from zslbench.experiment.recipe import Recipe, composition, resolve
from zslbench.experiment.suites.definition import Row, RowOptions, Suite
from zslbench.experiment.suites.splits import with_splits
from zslbench.plugin.declarations import FULL, Method, Variant
from zslbench.plugin.lookup import Registry
from zslbench.plugin.presets import preset_names
from zslbench.store.identity import canonical, run_ids

if TYPE_CHECKING:
    from zslbench.training.step import Precision


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
    components: tuple[tuple[str, str], ...] = ()
    """Kind and name of each component of a composition; empty: those of the method."""


Status = Literal[
    "to run", "to resume", "interrupted", "failed before", "running elsewhere", "cannot run", "no data",
    "no plugin", "running", "done", "found", "failed",
]  # fmt: skip
PENDING: tuple[Status, ...] = ("to run", "to resume")
"""What is computed; ``interrupted``, ``failed before`` and ``running elsewhere`` are left alone."""

Place = tuple[str, str, str]
"""Label of a line, data set, selection: an entry of the table."""

CELL_FORMAT = 1
"""Incremented when the meaning of a cell's definition changes."""


@dataclass(eq=False)
class Cell:
    """One run of a suite: a line on a data set under a selection with a seed."""

    line: Line
    dataset: str
    files: DataFiles
    named: frozenset[str]
    """Which of them the line itself names, so that its method must read them."""
    keep_weights: bool
    selection: Selection
    seed: int = 0
    precision: Precision = "float32"
    """The precision of matrix products; in another one it is another cell."""
    resolved: Recipe | None = None
    """None: it cannot be run here."""
    status: Status = "to run"
    """This and the rest follow from the plan of a suite, and change as it runs."""
    reason: str = ""
    """Why there is nothing to do, or the error that it ended with."""
    error: Exception | None = None
    """The reason for ``cannot run`` or ``no data``."""
    run: str | None = None
    """The id of the run that it has or would get; None: unknown without the data."""
    data: str | None = None
    """Digest of the data."""
    seconds: float | None = None
    """Estimated cost of a pending cell; None: unknown."""
    group: tuple[Cell, ...] = field(default=(), repr=False)
    """The cells that are trained together, this one included."""
    same: Cell | None = field(default=None, repr=False)
    """A cell that differs only in its seed, for what is computed once for all of them."""

    @property
    def recipe(self) -> Recipe:
        """The recipe of a cell that can be run."""
        assert self.resolved is not None
        return self.resolved

    @property
    def place(self) -> Place:
        """Where it belongs in the table."""
        return self.line.label, self.dataset, self.selection.mode

    @cached_property
    def id(self) -> str:
        """A hash of everything that its figures depend on, except the data and the machine.

        It is known before any data set is read; an edited plugin makes a new cell.
        """
        return (self.same or self)._id_of(self.seed)

    @cached_property
    def _id_of(self) -> Callable[[int], str]:
        precision = {} if self.precision == "float32" else {"precision": self.precision}
        return run_ids(self.definition | precision | {"versions": versions(self.recipe)})

    @cached_property
    def definition(self) -> dict[str, Any]:
        """What is computed, whatever the seed and the versions."""
        if self.same is not None:
            return self.same.definition
        described = requested(self.recipe, self.selection)
        return {"format": CELL_FORMAT, **described, "files": asdict(self.files)}

    @cached_property
    def computation(self) -> str:
        """See :func:`computation`."""
        return self.same.computation if self.same is not None else computation(self.definition)

    @property
    def label(self) -> str:
        """For readers: ``"sc-egg [paper] on toy, val, seed 0"``."""
        return f"{self.line.label} on {self.dataset}, {self.selection.mode}, seed {self.seed}"

    def facts(self) -> dict[str, Any]:
        """What it is, for readers of plans and of the ledger."""
        line = self.line
        return {
            "method": line.method, "variant": line.variant, "reading": line.reading,
            "dataset": self.dataset, "selection": self.selection.mode, "seed": self.seed,
        }  # fmt: skip


_COMPARED = ("method", "variant", "reading", "components", "settings", "search", "tasks", "selection")
"""What such runs share: all of a cell's definition except the seed, the data and the versions."""


def computation(identity: Mapping[str, Any]) -> str:
    """A text that is equal for runs that compute the same, whatever their seed, data, machine and versions,
    and for the definitions of their cells.

    Such runs fill the same place in a table of records, and cost about the same.
    """
    return canonical({name: identity.get(name) for name in _COMPARED})


@dataclass(frozen=True)
class ResolvedSuite:
    """A suite whose lines are resolved to recipes."""

    suite: Suite
    lines: tuple[Line, ...]
    cells: tuple[Cell, ...]
    """In the order of computing: one data set after the other, seed by seed, so that a whole column of one
    seed is complete early."""
    remarks: tuple[str, ...]
    """Settings that were ignored, and where, and folders that are not splits, a line each."""


def resolve_suite(
    suite: Suite,
    registry: Registry,
    data_root: str | Path | None = None,
    precision: Precision = "float32",
    only: Collection[tuple[str, str]] | None = None,
) -> ResolvedSuite:
    """Resolve every line on every data set; each split counts as a data set.

    Options of the whole suite or of a command line apply to the methods that have them; those of a row must
    exist.

    Args:
        only: labels of lines and data sets to resolve, of a suite that was resolved as a whole before.

    Raises:
        SettingsError: a variant, reading, preset or setting that does not exist; names the line.
    """
    suite = with_splits(suite, registry, data_root)
    resolver = _Resolver(suite, registry, data_root)
    lines = tuple(map(resolver.line, suite.rows))
    first = {
        (line, dataset): replace(resolver.cell(row, line, dataset), precision=precision)
        for line, row in zip(lines, suite.rows, strict=True)
        for dataset in suite.datasets
        if row.runs_on(dataset) and (only is None or (line.label, dataset) in only)
    }
    if only is None:
        resolver.refuse_unused(complete=all(cell.resolved for cell in first.values()))
        _refuse_unpublished(suite, resolver.declared)
    seeds = {line: row.seeds or suite.seeds for line, row in zip(lines, suite.rows, strict=True)}
    several = suite.several_selections or len(suite.select) > 1
    cells = []
    made: dict[tuple[Line, str, str], Cell] = {}
    for dataset, seed, mode, line in product(suite.datasets, suite.seeds, suite.select, lines):
        if (cell := first.get((line, dataset))) is None or seed not in seeds[line]:
            continue
        # Among several selections, every is for those that do not evaluate after every epoch anyway.
        every = None if mode == "oracle-scripts" and several else cell.selection.every
        if (line, dataset, mode) not in made:
            made[line, dataset, mode] = replace(cell, selection=Selection(mode, every))
        same = made[line, dataset, mode]
        cells.append(replace(same, seed=seed, same=same))
    remarks = dict.fromkeys([*suite.remarks, *resolver.remarks])
    return ResolvedSuite(suite, lines, tuple(cells), tuple(remarks))


class _Resolver:
    def __init__(self, suite: Suite, registry: Registry, data_root: str | Path | None) -> None:
        self.suite, self.registry, self.data_root = suite, registry, data_root
        self.remarks: list[str] = []
        self._settings: set[str] = set()
        """Settings that any line has."""
        self._presets: set[str] = set()
        """Presets that any method has."""

    def declared(self, of: Row | Line) -> Method | None:
        """A row's method; None: no plugin provides it."""
        if of.components:
            return composition(**dict(of.components))
        try:
            return self.registry.method(of.method).declaration
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
            components=tuple(row.components.items()),
        )

    def cell(self, row: Row, line: Line, dataset: str) -> Cell:
        """The line on a data set; its cells differ in selection and seed."""
        whole = [self.suite, self.suite.on.get(dataset, RowOptions())]
        own = [row, row.on.get(dataset, RowOptions())]
        option = partial(_nearest, [*whole, *own])
        cell = partial(
            Cell,
            line,
            dataset,
            DataFiles(
                option("features"),
                self._semantics(option("semantics")),
                option("regions"),
                self._candidates(option("candidates")),
                option("images"),
            ),
            frozenset(name for name in ("regions", "images") if _nearest(own, name) is not None),
            bool(option("keep_weights")),
            Selection(every=option("every")),
        )
        try:
            if reason := self._not_provided(line):
                return cell(status="no plugin", reason=reason)
            try:
                find_dataset(self.registry, dataset, root=self.data_root)
            except UnknownName as error:
                return cell(status="no data", reason=str(error))
            return cell(resolved=self._recipe(line, dataset, whole, own))
        except (UnknownName, SettingsError) as error:
            raise SettingsError(f"{self.suite.where}: line '{line.label}' on {dataset}: {error}") from None

    def refuse_unused(self, *, complete: bool) -> None:
        """Refuse options of the whole suite that no line has: they are typos.

        In a part of a suite they may be meant for the rest; if it is not ``complete``, for what is missing.
        """
        if not self._settings:
            return
        general = () if self.suite.part else (self.suite, *self.suite.on.values())
        refused = self._unused(self.suite.override)
        remarks = [text for one in general for text in self._unused(one)]
        if complete:
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

    def _recipe(
        self, line: Line, dataset: str, whole: Sequence[RowOptions], own: Sequence[RowOptions]
    ) -> Recipe:
        """The recipe of a line with the options of the whole suite and its own; later ones win."""
        variant = self._variant(line)
        resolved = partial(
            resolve,
            self.registry,
            dataset,
            method=None if line.components else line.method,
            components=dict(line.components),
            variant=variant.name if variant else None,
            reading=line.reading,
            preset=self._preset(line, whole, own),
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
            epochs = _nearest(whole, "epochs")
        if variant is not None and ignored:
            self.remarks.append(
                f"{line.label}: variant '{variant.name}' has no {', '.join(ignored)}: ignored there"
            )
        return resolved(settings=existing(whole) | settings | existing([self.suite.override]), epochs=epochs)

    def _preset(
        self, line: Line, whole: Sequence[RowOptions], own: Sequence[RowOptions]
    ) -> tuple[str, ...] | None:
        """The presets of the nearest options that name any, without those that only other methods have."""
        declared = self.declared(line)
        available = preset_names(declared.presets if declared else None)
        self._presets |= set(available)

        def applicable(names: Sequence[str]) -> tuple[str, ...]:
            return tuple(one for one in names if one in available or not _is_own(one))

        nearest_first = [applicable(self.suite.override.preset), *(one.preset for one in reversed(own))]
        nearest_first += [applicable(one.preset) for one in reversed(whole)]
        chosen = next((names for names in nearest_first if names), ())
        return tuple(map(self._preset_path, chosen)) or None

    def _candidates(self, given: str | None) -> str | None:
        """The candidates of a suite; the path of a file is relative to the suite's file."""
        folder = self.suite.folder
        return given if given in (None, TEST, ALL) or folder is None else str(folder / str(given))

    def _semantics(self, given: str | None) -> str | None:
        """Class semantics of a suite; the path of a file is relative to the suite's file."""
        folder = self.suite.folder
        path = None if folder is None or given is None else folder / given
        return str(path) if path is not None and path.is_file() else given

    def _preset_path(self, name: str) -> str:
        """A file named in the suite is relative to it; one of the command line, to the working directory."""
        folder = self.suite.folder
        if folder is None or not name.endswith(".toml") or name in self.suite.override.preset:
            return name
        return str(folder / name)

    def _variant(self, line: Line) -> Variant | None:
        declared = self.declared(line)
        known = {one.name: one for one in (declared.variants if declared else ())}
        if line.variant is not None and line.variant not in known:
            hint = did_you_mean(line.variant, [*known, FULL])
            raise UnknownName(f"method '{line.method}' has no variant '{line.variant}', {hint}")
        return known.get(line.variant or FULL)

    def _not_provided(self, line: Line) -> str:
        """Which part of a line no plugin provides; empty: plugins provide all of it."""
        declared = self.declared(line)
        if declared is not None:
            lacking = self.registry.missing(declared, self._variant(line))
            names = ", ".join(f"{kind} '{name}'" for kind, name in lacking)
            if lacking and line.components:  # the suite itself names them, so it may have a typo
                kind, name = lacking[0]
                names += f", {did_you_mean(name, [one.name for one in self.registry.components(kind)])}"
            return f"no plugin provides {names}" if names else ""
        hint = did_you_mean(line.method.lower(), [one.name for one in self.registry.methods()])
        # The name of a method with published results is not a misspelling.
        published = PublishedResults.load().all(line.method)
        near = f", {hint}" if hint.startswith("did") and not published else ""
        broken = ", ".join(f"'{one.name}'" for one in self.registry.broken)
        return f"no plugin provides method '{line.method}'{near}" + (f" (broken: {broken})" if broken else "")


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
    """Check that the published results, the methods' own ablations included, have what the suite names."""
    results, source = PublishedResults.load(), suite.published_source
    if source is not None and source not in results.names("source"):
        methods = filter(None, (declared(row) for row in suite.rows))
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
