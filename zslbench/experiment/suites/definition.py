"""What a suite's TOML file may say; an unknown key names the nearest known one, the file and the row."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    model_validator,
)

from zslbench.errors import SettingsError, did_you_mean
from zslbench.evaluation.selection import Mode
from zslbench.experiment.recipe import label_text
from zslbench.plugin.declarations import FULL, KINDS
from zslbench.plugin.presets import flatten


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _flat(value: Any) -> Any:
    """``{generator = {lr = 1}}`` and ``{"generator.lr" = 1}`` alike as the latter."""
    if not isinstance(value, Mapping):
        return value
    flat: dict[str, Any] = {}
    for key, one in value.items():
        flat |= flatten(one, f"{key}.") if isinstance(one, Mapping) else {key: one}
    for key in flat:
        kind, dot, name = key.partition(".")
        if kind not in KINDS or not dot or not name:
            raise ValueError(f"'{key}': write <kind>.<setting>, as generator.lr; {did_you_mean(kind, KINDS)}")
    return flat


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Settings = Annotated[dict[str, Any], BeforeValidator(_flat)]


class Wanted(BaseModel):
    """What may be said for the whole suite, for a row, and for either on one data set."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    settings: Settings = {}
    """As ``--set``: ``settings.generator.lr = 1e-4``."""
    preset: Names = ()
    """As ``--preset``; a file is looked for beside the suite's."""
    epochs: PositiveInt | None = None
    """Length of the schedule."""
    every: PositiveInt | None = None
    """Epochs between evaluations."""
    features: str | None = None
    """Features file of the data set."""
    semantics: str | None = None
    """Class semantics."""
    regions: str | None = None
    """Region features: a name or a path."""
    keep_weights: bool | None = None
    """Whether the fitted networks are kept with the runs."""


class Row(Wanted):
    """One ``[[methods]]``: a line of the table, or one for each of its variants and readings."""

    method: str
    """What plugins register; a method that none registers yet stays in the table."""
    variants: Names = ()
    """Variants of the method, ``full`` for the whole of it; none: the whole."""
    readings: Names = ()
    """Ways of reading its paper; none: the method's first."""
    label: str | None = None
    """What tables call it; None: the method's name, its variant and the readings listed here."""
    group: Literal["embedding", "generative"] | None = None
    """The table's group; None: the one that the method's plugin says."""
    published: str | Literal[False] | None = None
    """The method's name in the published results; None: its own; false: nothing is compared."""
    on: dict[str, Wanted] = {}
    """What differs on single data sets: ``[methods.on.cub]``."""

    def split(self) -> Iterator[Row]:
        """One row for each variant and reading, with its label."""
        for variant in self.variants or (None,):
            for reading in self.readings or (None,):
                told = reading if self.label is None or len(self.readings) > 1 else None
                named = variant if self.label is None or len(self.variants) > 1 else None
                label = label_text(self.label or self.method, None if named == FULL else named, told)
                chosen = {"variants": (variant,) if variant else (), "label": label}
                yield self.model_copy(update=chosen | {"readings": (reading,) if reading else ()})


class Definition(Wanted):
    """A whole suite: rows × data sets × selections × seeds."""

    name: str = Field("", pattern=r"^[a-z0-9][a-z0-9_.+-]*$|^$")
    """What users type; empty: the file's name."""
    title: str = ""
    """Heading of its table."""
    summary: str = ""
    """One line for listings."""
    datasets: Names
    """Columns of the table."""
    seeds: PositiveInt | tuple[Annotated[int, Field(ge=0)], ...] = 1
    """A number n for the seeds 0 to n-1, or the seeds themselves."""
    select: Annotated[tuple[Mode, ...], BeforeValidator(_listed)] = ("val",)
    """``val``, ``last``, ``oracle``; the first ranks."""
    published_source: str | None = None
    """Which source's published numbers go before others."""
    methods: tuple[Row, ...]
    """Rows of the table."""
    on: dict[str, Wanted] = {}
    """What differs on single data sets: ``[on.cub]``."""

    @model_validator(mode="after")
    def _sound(self) -> Definition:
        faults = []
        for what, values in (("datasets", self.datasets), ("select", self.select), ("methods", self.methods)):
            if not values:
                faults.append(f"'{what}' is empty")
        for what, values in (("datasets", self.datasets), ("select", self.select)):
            if len(set(values)) != len(values):
                faults.append(f"'{what}' names one of {', '.join(values)} twice")
        if isinstance(self.seeds, tuple) and len(set(self.seeds)) != max(1, len(self.seeds)):
            faults.append("'seeds': give a number of seeds, or different seeds of 0 or more")
        places = [
            ("", self.on),
            *((f"{_row(i, one.method)}: ", one.on) for i, one in enumerate(self.methods)),
        ]
        for where, overlays in places:
            faults += [
                f"{where}'on.{name}' is no data set of the suite, {did_you_mean(name, self.datasets)}"
                for name in overlays
                if name not in self.datasets
            ]
        labels: dict[str, str] = {}
        for number, row in enumerate(self.methods):
            for one in row.split():
                where, label = _row(number, row.method), str(one.label)
                if label in labels:
                    faults.append(
                        f"{labels[label]} and {where} are both called '{label}': give one a 'label'"
                    )
                labels[label] = where
        if faults:
            raise ValueError("; ".join(faults))
        return self


def parse(text: str, where: str) -> Definition:
    """Read a suite.

    Args:
        where: the file, for messages.

    Raises:
        SettingsError: it is no TOML, or lists every key that is unknown or has a wrong value.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"suite {where}: not valid TOML: {error}") from None
    if isinstance(content.get("methods"), Mapping):
        raise SettingsError(f"suite {where}: write [[methods]] above each row, not [methods]")
    try:
        return Definition.model_validate(content)
    except ValidationError as error:
        lines: dict[str, str] = {}
        for one in error.errors():  # a key with several types has a fault for each: the first will do
            lines.setdefault(*_explain(one, content))
        raise SettingsError(f"suite {where}: " + "; ".join(lines.values())) from None


def _row(number: int, method: object) -> str:
    return f"row {number + 1} ({method})"


def _explain(error: Any, content: Mapping[str, Any]) -> tuple[str, str]:
    """Which key is at fault, and how."""
    path = [str(part) for part in error["loc"]]
    model: type[BaseModel] = Definition
    where = ""
    if path[:1] == ["methods"] and len(path) > 2:
        number, model = int(path[1]), Row
        row = content["methods"][number]
        where = f"{_row(number, row.get('method', '?') if isinstance(row, Mapping) else row)}: "
        path = path[2:]
    if path[:1] == ["on"] and len(path) > 2:
        where, model, path = f"{where}on {path[1]}: ", Wanted, path[2:]
    # Behind the key come the alternatives of its type, which nobody wrote.
    key = path[0] if path else ""
    if error["type"] == "extra_forbidden":
        return where + key, f"{where}no key '{key}', {did_you_mean(key, model.model_fields)}"
    if error["type"] == "missing":
        return where + key, f"{where}key '{key}' is missing"
    text = str(error["msg"]).removeprefix("Value error, ")
    return where + key, f"{where}'{key}' = {error['input']!r}: {text}" if key else f"{where}{text}"
