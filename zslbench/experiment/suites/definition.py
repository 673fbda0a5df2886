"""Definitions of suites, read from TOML files: those of the package by name, a user's by path.

An unknown key is an error that names the nearest known one, the file and the row.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from zslbench.data.split_sets import ALL_SPLITS, in_split_set, is_split_set
from zslbench.errors import SettingsError, UnknownName, did_you_mean
from zslbench.evaluation.selection import Mode
from zslbench.experiment.recipe import COMPOSED, composition, label_text
from zslbench.plugin.declarations import FULL, KINDS
from zslbench.plugin.presets import flatten
from zslbench.plugin.settings import Count
from zslbench.store.parsing import MOST_SEEDS, parse_toml, small_text

MOST_CELLS = 50_000


def as_list(value: Any) -> Any:
    """A single text as a list of one."""
    return [value] if isinstance(value, str) else value


def _flat(value: Any) -> Any:
    """``{generator = {lr = 1}}`` as ``{"generator.lr" = 1}``."""
    if not isinstance(value, Mapping):
        return value
    flat = flatten(value)
    for key in flat:
        kind, dot, name = key.partition(".")
        if kind not in KINDS or not dot or not name:
            raise ValueError(
                f"'{key}': write <kind>.<setting>, e.g. generator.lr; {did_you_mean(kind, KINDS)}"
            )
    return flat


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values or len(set(values)) != len(values):
        raise ValueError("give at least one, and each only once")
    return values


def _seeds(given: Any) -> Any:
    """A number n as the seeds 0 to n-1; a huge n becomes one seed too many, enough to be rejected."""
    return tuple(range(min(given, MOST_SEEDS + 1))) if isinstance(given, int) else given


Names = Annotated[tuple[str, ...], BeforeValidator(as_list)]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...],
    BeforeValidator(_seeds),
    Field(max_length=MOST_SEEDS),
    AfterValidator(_distinct),
]
Settings = Annotated[dict[str, Any], BeforeValidator(_flat)]


class RowOptions(BaseModel):
    """Options of the whole suite, of a row, and of either on one data set."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    settings: Settings = {}
    """As ``--set``: ``settings.generator.lr = 1e-4``."""
    preset: Names = ()
    """As ``--preset``; files are relative to the suite's."""
    epochs: Count | None = None
    """Length of the schedule."""
    every: Count | None = None
    """Epochs between evaluations."""
    features: str | None = None
    """Features file of the data set."""
    semantics: str | None = None
    """Class semantics; a file of class vectors is relative to the suite's own file."""
    regions: str | None = None
    """Region features: a name or a path."""
    images: str | None = None
    """Folder of the pictures."""
    candidates: str | None = None
    """Unseen classes that are scored: ``test``, ``all``, or a file of class names, relative to the suite's
    own file."""
    keep_weights: bool | None = None
    """Whether to keep the fitted networks with the runs."""


class Row(RowOptions):
    """One ``[[methods]]``: a line of the table, or one for each of its variants and readings.

    It names a method, or composes one of an embedding, a classifier and, if needed, a generator.
    """

    method: str
    """As plugins register it; a method that no plugin provides stays in the table. A composition is named
    after its components."""
    embedding: str | None = None
    """The embedding of a composition."""
    generator: str | None = None
    """The generator of a composition; None: it has none."""
    classifier: str | None = None
    """The classifier of a composition."""
    variants: Names = ()
    """Variants of the method, ``full`` for the method itself; empty: the method itself."""
    readings: Names = ()
    """Readings of its paper; empty: the method's first."""
    label: str | None = None
    """Its name in tables; None: the method's name, its variant and the readings listed here."""
    group: Literal["embedding", "generative"] | None = None
    """Its group in the table; None: the one that the method's plugin declares."""
    published: str | Literal[False] | None = None
    """The method's name in the published results; None: its own name; false: nothing is compared."""
    datasets: Annotated[Names, AfterValidator(_distinct)] = ()
    """The suite's data sets that it runs on; empty: all of them."""
    seeds: Seeds | None = None
    """Those of the suite that it runs, a number or a list; None: all. One is enough for a closed form."""
    on: dict[str, RowOptions] = {}
    """Options on single data sets: ``[methods.on.cub]``."""

    @property
    def components(self) -> dict[str, str]:
        """The components of a composition by kind; empty: the row names a method."""
        named = {kind: getattr(self, kind) for kind in COMPOSED}
        return {kind: name for kind, name in named.items() if name is not None}

    @model_validator(mode="before")
    @classmethod
    def _called_by_its_components(cls, row: Any) -> Any:
        if not isinstance(row, Mapping) or "method" in row or not {"embedding", "classifier"} <= row.keys():
            return row
        return {"method": composition(row["embedding"], row["classifier"], row.get("generator")).name, **row}

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Row:
        parts = self.components
        if parts and not (
            {"embedding", "classifier"} <= parts.keys() and self.method == composition(**parts).name
        ):
            raise ValueError(
                "give either 'method', or 'embedding', 'classifier' and optionally 'generator', not both"
            )
        if parts and (self.variants or self.readings):
            raise ValueError("a composition has no variants and readings: give each its own row")
        return self

    def runs_on(self, dataset: str) -> bool:
        return not self.datasets or dataset in self.datasets

    def split(self) -> Iterator[Row]:
        """One row for each variant and reading, with its label."""
        for variant in self.variants or (None,):
            for reading in self.readings or (None,):
                shown = reading if self.label is None or len(self.readings) > 1 else None
                named = variant if self.label is None or len(self.variants) > 1 else None
                label = label_text(self.label or self.method, None if named == FULL else named, shown)
                chosen = {"variants": (variant,) if variant else (), "label": label}
                yield self.model_copy(update=chosen | {"readings": (reading,) if reading else ()})


class Definition(RowOptions):
    """A whole suite: rows × data sets × selections × seeds."""

    name: str = Field("", pattern=r"^[a-z0-9][a-z0-9_.+-]*$|^$")
    """Empty: the file's name."""
    title: str = ""
    """Heading of its table."""
    summary: str = ""
    """One line for listings."""
    datasets: Annotated[Names, AfterValidator(_distinct)]
    """Columns of the table; ``hmdb51/*`` is one column over all splits in this folder."""
    splits: bool = False
    """Whether a data set that is a folder of splits, such as ``hmdb51``, means all of them."""
    seeds: Seeds = (0,)
    """A number n for seeds 0 to n-1, or the seeds themselves."""
    select: Annotated[tuple[Mode, ...], BeforeValidator(as_list), AfterValidator(_distinct)] = ("val",)
    """``val``, ``last``, ``oracle``, ``oracle-scripts``; the first ranks."""
    published_source: str | None = None
    """The source whose published figures are preferred."""
    methods: tuple[Row, ...] = Field(min_length=1)
    """Rows of the table."""
    on: dict[str, RowOptions] = {}
    """Options on single data sets: ``[on.cub]``."""

    @model_validator(mode="after")
    def _consistent(self) -> Definition:
        lines = sum(max(1, len(row.variants)) * max(1, len(row.readings)) for row in self.methods)
        cells = lines * len(self.datasets) * len(self.select) * len(self.seeds)
        if cells > MOST_CELLS:
            raise ValueError(f"{cells:,} cells, more than {MOST_CELLS:,}: divide it into several suites")
        rows = {_row(number, one.method): one for number, one in enumerate(self.methods)}
        faults = [
            f"{where}'on.{name}' is not a data set of the suite, {did_you_mean(name, self.datasets)}"
            for where, overlays in (("", self.on), *((f"{where}: ", row.on) for where, row in rows.items()))
            for name in overlays
            if name not in self.datasets
        ]
        faults += [
            f"{where}: {seed} is not one of the suite's seeds, {', '.join(map(str, self.seeds))}"
            for where, row in rows.items()
            for seed in row.seeds or ()
            if seed not in self.seeds
        ]
        faults += [
            f"{where}: '{name}' is not a data set of the suite, {did_you_mean(name, self.datasets)}"
            for where, row in rows.items()
            for name in row.datasets
            if name not in self.datasets
        ]
        labels: dict[str, str] = {}
        for where, row in rows.items():
            for label in (str(one.label) for one in row.split()):
                if label in labels:
                    faults.append(
                        f"{labels[label]} and {where} are both called '{label}': give one a 'label'"
                    )
                labels[label] = where
        if faults:
            raise ValueError("; ".join(faults))
        return self


def _row(number: int, method: object) -> str:
    return f"row {number + 1} ({method})"


def _explain(error: Any, content: Mapping[str, Any]) -> tuple[str, str]:
    """The key at fault, and what is wrong with it."""
    path = [str(part) for part in error["loc"]]
    model: type[BaseModel] = Definition
    where = ""
    if path[:1] == ["methods"] and len(path) > 1:
        number, model = int(path[1]), Row
        row = content["methods"][number]
        where = f"{_row(number, row.get('method', '?') if isinstance(row, Mapping) else row)}: "
        path = path[2:]
    if path[:1] == ["on"] and len(path) > 2:
        where, model, path = f"{where}on {path[1]}: ", RowOptions, path[2:]
    # After the key come the alternatives of its type, which nobody wrote.
    key = path[0] if path else ""
    if error["type"] == "extra_forbidden":
        return where + key, f"{where}no key '{key}', {did_you_mean(key, model.model_fields)}"
    if error["type"] == "missing":
        other = " (or 'embedding' and 'classifier' of a composition)" if key == "method" else ""
        return where + key, f"{where}key '{key}' is missing{other}"
    text = str(error["msg"]).removeprefix("Value error, ")
    return (
        where + key,
        f"{where}'{key}' = {reprlib.repr(error['input'])}: {text}" if key else f"{where}{text}",
    )


class Suite(Definition):
    """A suite under its name and title, with the changes of a command line. Made without validation."""

    where: str
    """The suite and its file, for messages."""
    folder: Path | None = None
    """What file names in it are relative to; None: it is a packaged suite."""
    override: RowOptions = RowOptions()
    """Wins over everything in the file, for the methods that have it."""
    part: bool = False
    """Whether it is only a part of the file."""
    several_selections: bool = False
    """Whether the whole file has several selections, even if this part has one."""
    split_sets: dict[str, tuple[str, ...]] = {}
    """Data sets that share a column of the table, by its name: ``hmdb51/*`` and the splits found here."""
    remarks: tuple[str, ...] = ()
    """What else a reader must know about the data sets, a line each."""

    def dump(self) -> dict[str, Any]:
        """As JSON data, for :func:`restored`."""
        dump = partial(BaseModel.model_dump, mode="json", warnings=False)
        return {**dump(self), "methods": [dump(row, exclude_defaults=True) for row in self.methods]}

    @property
    def rows(self) -> tuple[Row, ...]:
        """One for each line of the table."""
        here = (row for row in self.methods if any(map(row.runs_on, self.datasets)))
        return tuple(one for row in here for one in row.split())

    def narrowed(
        self,
        *,
        methods: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
        seeds: int | Sequence[int] | None = None,
        select: Sequence[str] | None = None,
    ) -> Suite:
        """A part of the suite, in its own order: methods or lines by name, the first n seeds or these.

        Raises:
            UnknownName, SettingsError: the suite has no such part.
        """
        changed: dict[str, Any] = {}
        if methods:
            labels = [str(name) for row in self.rows for name in (row.method, row.label)]
            names = set(self._known("method or line", methods, labels))
            changed["methods"] = tuple(row for row in self.rows if {row.method, str(row.label)} & names)
        if datasets:
            changed["datasets"] = chosen = self._known("data set", self._each(datasets), self.datasets)
            whole = {name: of for name, of in self.split_sets.items() if {*of} <= {*chosen}}
            changed["split_sets"] = whole
        if select:
            changed["select"] = self._known("selection", select, self.select)
            changed["several_selections"] = self.several_selections or len(self.select) > 1
        if seeds is not None:
            chosen_seeds = self.seeds[:seeds] if isinstance(seeds, int) else tuple(seeds)
            short = isinstance(seeds, int) and seeds > len(self.seeds)
            if short or not chosen_seeds or not set(chosen_seeds) <= set(self.seeds):
                raise SettingsError(
                    f"seeds {seeds}: suite '{self.name}' has the seeds {', '.join(map(str, self.seeds))}"
                )
            changed["seeds"] = tuple(one for one in self.seeds if one in chosen_seeds)
        return self.model_copy(update=changed | {"part": self.part or bool(changed)})

    def overridden(self, settings: Mapping[str, Any], preset: str | Sequence[str] | None = None) -> Suite:
        """The suite with settings and presets changed for every method that has them."""
        override = RowOptions(settings=dict(settings), preset=tuple(as_list(preset) or ()))
        return self.model_copy(update={"override": override})

    def _each(self, datasets: Sequence[str]) -> list[str]:
        """These names of data sets, with a name that means several splits replaced by the splits."""
        found: list[str] = []
        for name in datasets:
            alone = f"{name}{ALL_SPLITS}" if self.splits else name
            inside = next((one for one in (name, alone) if one.lower() in self.split_sets), None)
            if inside is not None:
                found += self.split_sets[inside.lower()]
            elif is_split_set(name) and name not in self.datasets:
                found += [one for one in self.datasets if in_split_set(name, one)] or [name]
            else:
                found.append(name)
        return found

    def _known(self, what: str, names: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
        """The known names that are among these, whatever their case."""
        for name in names:
            if name.lower() not in map(str.lower, known):
                hint = did_you_mean(name, set(known))
                raise UnknownName(f"suite '{self.name}' has no {what} '{name}', {hint}")
        wanted = {one.lower() for one in names}
        return tuple(one for one in known if one.lower() in wanted)


def parse(text: str, path: Path, folder: Path | None = None) -> Suite:
    """Read the text of a suite, with the file's ``path`` and the ``folder`` that names in it are relative to.

    Raises:
        SettingsError: it is not TOML, or has unknown keys or wrong values; lists all of them.
    """
    try:
        content = parse_toml(text)
    except ValueError as error:
        raise SettingsError(f"suite {path}: not valid TOML: {error}") from None
    return _validated(content, path, folder)


def _validated(content: Mapping[str, Any], path: Path, folder: Path | None) -> Suite:
    where = f"suite {path}"
    if isinstance(content.get("methods"), Mapping):
        raise SettingsError(f"{where}: write [[methods]] above each row, not [methods]")
    try:
        found = Definition.model_validate(content)
    except ValidationError as error:
        lines: dict[str, str] = {}
        faults = error.errors()
        if any(len(one["loc"]) > 1 for one in faults):  # pydantic also misses the rows that have faults
            faults = [one for one in faults if one["type"] != "too_short"]
        for one in faults:  # a key of several types has a fault for each: one is enough
            lines.setdefault(*_explain(one, content))
        raise SettingsError(f"{where}: " + "; ".join(lines.values())) from None
    name = found.name or path.stem
    named = {"name": name, "title": found.title or name}
    return Suite.model_construct(**dict(found) | named, where=where, folder=folder)


def restored(content: Mapping[str, Any]) -> Suite:
    """The suite of :meth:`Suite.dump`. It is not validated as a whole, as only a part of it may be here.

    Raises:
        ValueError, KeyError: it is not one.
    """
    options, folder = RowOptions.model_validate, content["folder"]
    values = dict(content) | dict(options({name: content[name] for name in RowOptions.model_fields}))
    values |= {name: tuple(content[name]) for name in ("datasets", "seeds", "select", "remarks")}
    values["split_sets"] = {name: tuple(of) for name, of in content["split_sets"].items()}
    values["methods"] = tuple(map(Row.model_validate, content["methods"]))
    values["on"] = {name: options(one) for name, one in content["on"].items()}
    values["override"] = options(content["override"])
    values["folder"] = None if folder is None else Path(folder)
    return Suite.model_construct(**values)


def suite_names() -> tuple[str, ...]:
    """The packaged suites."""
    found = (one.name for one in _packaged().iterdir())
    return tuple(sorted(one.removesuffix(".toml") for one in found if one.endswith(".toml")))


def find_suite(name_or_path: str | Path | Mapping[str, Any]) -> Suite:
    """A packaged suite by name, a user's by the path of its TOML file, or one written in Python with the keys
    of such a file; files named in the latter are relative to the working directory.

    Raises:
        UnknownName: no such suite.
        SettingsError: the file cannot be read or is not a suite.
    """
    if isinstance(name_or_path, Mapping):
        return _validated(name_or_path, Path(str(name_or_path.get("name") or "suite")), Path())
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    if name in suite_names():
        return parse(_packaged().joinpath(f"{name}.toml").read_text("utf-8"), Path(f"{name}.toml"), None)
    if path.suffix != ".toml":
        hint = did_you_mean(name, suite_names())
        raise UnknownName(f"no suite '{name}', {hint} (or give the path of a .toml file)")
    try:
        text = small_text(path)
    except (OSError, ValueError) as error:
        raise SettingsError(f"suite {path}: cannot be read ({error})") from None
    return parse(text, path, path.parent)


def _packaged() -> Traversable:
    return files("zslbench.experiment.suites").joinpath("packaged")
