"""The search space: which settings are searched, validated against the components' types and bounds."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from zslbench import Options, Range
from zslbench.errors import SettingsError, did_you_mean
from zslbench.experiment import Recipe
from zslbench.plugin import Kind, Method, fields_of, toml_or_word

if TYPE_CHECKING:
    from optuna.trial import Trial

SearchSpec = Range | Options | str | Sequence[Any]
"""The candidates for a setting: a declaration, the text of ``--search``, or a list of values."""

_HINT = (
    "write KIND.NAME=LOW:HIGH, LOW:HIGH:log, LOW:HIGH:STEP or A,B,C, for example generator.lr=1e-5:1e-3:log"
)


@dataclass(frozen=True)
class Space:
    """The settings that a search tries."""

    specs: Mapping[str, Range | Options]
    """By key, for example ``generator.lr``. A range between integers stands for integers only."""
    origin: Literal["user", "tunable", "search"]
    """Given by the user, or declared by methods as ``tunable`` or as ``search``."""

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """Optuna's choice for every setting; for options, the :func:`label` of one of them."""
        return {key: _suggest(trial, key, spec) for key, spec in self.specs.items()}

    def values(self, choices: Mapping[str, Any]) -> dict[str, Any]:
        """Settings for the choices of :meth:`suggest`."""
        values = dict(choices)
        for key, spec in self.specs.items():
            if isinstance(spec, Options):
                values[key] = {label(value): value for value in spec.values}[choices[key]]
        return values

    def as_dict(self) -> dict[str, str]:
        """The space as text, for a study's identity and a preset's provenance."""
        return {key: str(spec) for key, spec in self.specs.items()}

    def __str__(self) -> str:
        text = ", ".join(f"{key}={spec}" for key, spec in self.specs.items())
        return text if self.origin == "user" else f"{text} (declared)"


def _suggest(trial: Trial, key: str, spec: Range | Options) -> Any:
    if isinstance(spec, Options):
        return trial.suggest_categorical(key, [label(value) for value in spec.values])
    if isinstance(spec.low, int) and isinstance(spec.high, int):
        return trial.suggest_int(key, spec.low, spec.high, step=int(spec.step or 1), log=spec.log)
    return trial.suggest_float(key, spec.low, spec.high, step=spec.step, log=spec.log)


def label(value: Any) -> Any:
    """An option as Optuna stores it: scalars unchanged, anything else as JSON."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def parse_search(text: str) -> tuple[str, Range | Options]:
    """Parse ``"generator.lr=1e-5:1e-3:log"`` into a key and its candidates; SettingsError: malformed."""
    key, _, spec = (part.strip() for part in text.partition("="))
    kind, _, name = key.partition(".")
    if not (spec and kind and name):
        raise SettingsError(f"--search {text}: {_HINT}")
    return key, parse_spec(spec, text)


def parse_spec(spec: str, source: str) -> Range | Options:
    """Parse ``"1e-5:1e-3:log"`` into a range, ``"256,512"`` into options.

    Raises:
        SettingsError: the text is neither; names ``source``, the whole argument.
    """
    parts = [part.strip() for part in spec.split(":")]
    low, high, step, *_ = [*map(_number, parts), None, None]
    if len(parts) in (2, 3) and low is not None and high is not None:
        log = parts[2:] == ["log"]
        if parts[2:] and not log and step is None:
            raise SettingsError(f"--search {source}: '{parts[2]}' is neither log nor a step; {_HINT}")
        try:
            return Range(low, high, log, step)
        except ValueError as error:
            raise SettingsError(f"--search {source}: {error}") from None
    pieces = re.split(r",(?![^\[]*\])", spec)  # not at the commas inside a list
    try:
        values = [toml_or_word(piece.strip()) for piece in pieces if piece.strip()]
    except ValueError as error:
        raise SettingsError(f"--search {source}: {error}") from None
    if len(values) < 2:
        raise SettingsError(f"--search {source}: a single value cannot be searched, use --set; {_HINT}")
    return Options(tuple(values))


def own_ranges(method: Method, recipe: Recipe) -> dict[str, Range | Options]:
    """What a method declares as ``tunable`` and neither its reading nor its variant fixes."""
    overlays = [recipe.reading, *(one for one in method.variants if one.name == recipe.variant)]
    fixed = {key for one in overlays if one is not None for key in one.settings}
    return {key: spec for key, spec in method.tunable.items() if key not in fixed}


def shared_ranges(methods: Iterable[Method], components: Mapping[Kind, str]) -> dict[str, Range | Options]:
    """What methods declare as ``tunable`` for the components of a composition.

    A setting is among them if all methods with its component declare the same for it. Where they differ, or
    some do not search it, what is good depends on the rest of the method.
    """
    declared = list(methods)
    found: dict[str, Range | Options] = {}
    for kind, name in components.items():
        ranges = [one.tunable for one in declared if getattr(one, kind, None) == name]
        for key, spec in ranges[0].items() if ranges else ():
            if key.startswith(f"{kind}.") and all(one.get(key) == spec for one in ranges):
                found[key] = spec
    return found


def space_of(
    recipe: Recipe,
    *,
    requested: Mapping[str, SearchSpec],
    tunable: Mapping[str, Range | Options],
    fixed: Mapping[str, Any],
) -> Space:
    """The user's space, else ``tunable``, else the method's ``search``.

    Args:
        tunable: settings that the user fixed, or of a component that the variant replaced, are ignored.

    Raises:
        SettingsError: a setting does not exist, does not accept one of its candidates, is also fixed, belongs
            to the data set or is the length of the schedule; or nothing is left to search.
    """
    origin: Literal["user", "tunable", "search"] = "user"
    candidates = {key: _as_spec(key, spec) for key, spec in requested.items()}
    if both := [key for key in candidates if key in fixed]:
        raise SettingsError(f"{both[0]} is both searched and set: remove one of the two")
    if not candidates:
        origin = "tunable"
        present = {f"{kind}.{name}" for kind, part in recipe.parts.items() for name in part.values()}
        candidates = {key: spec for key, spec in tunable.items() if key in present and key not in fixed}
    if not candidates:
        origin = "search"
        candidates = {key: Options(tuple(values)) for key, values in recipe.search.items() if len(values) > 1}
    if not candidates:
        raise SettingsError(
            f"for '{recipe.method}' no setting to search is declared, or all of them are set: "
            "choose settings with --search"
        )
    return Space({key: _validated(recipe, key, spec) for key, spec in candidates.items()}, origin)


def _as_spec(key: str, spec: SearchSpec) -> Range | Options:
    if isinstance(spec, Range | Options):
        return spec
    if isinstance(spec, str):
        return parse_spec(spec, f"{key}={spec}")
    if len(spec) < 2:
        raise SettingsError(f"--search {key}: {list(spec)!r} has fewer than two values")
    return Options(tuple(spec))


def _validated(recipe: Recipe, key: str, spec: Range | Options) -> Range | Options:
    kind, _, name = key.partition(".")
    where = f"--search {key}={spec}"
    if kind == "dataset":
        raise SettingsError(f"{where}: only settings of the method can be searched, not the data set's")
    part = recipe.parts.get(kind)  # type: ignore[call-overload]
    if part is None:
        known = ", ".join(one for one in recipe.parts if one != "dataset")
        raise SettingsError(f"{where}: method '{recipe.method}' has no {kind}; it has {known}")
    fields = fields_of(type(part.settings))
    if name not in fields:
        raise SettingsError(
            f"{where}: {kind} '{part.name}' has no setting '{name}', {did_you_mean(name, fields)}"
        )
    if key == recipe.schedule:
        raise SettingsError(
            f"{where}: the epoch at which to stop is selected in every trial; set the length with --epochs"
        )
    field = fields[name]
    if isinstance(spec, Options):
        options = tuple(_valid(field, value, where) for value in spec.values)
        if len({json.dumps(label(value)) for value in options}) < len(options):
            raise SettingsError(f"{where}: an option is listed twice")
        return Options(options)
    low, high = (_valid(field, bound, where) for bound in (spec.low, spec.high))
    if not {type(low), type(high)} <= {int, float}:
        raise SettingsError(f"{where}: '{name}' does not take numbers; list its values, e.g. {key}=A,B")
    integer = float not in (type(low), type(high))
    if integer and spec.step is not None and spec.step != int(spec.step):
        raise SettingsError(f"{where}: '{name}' takes integers, and the step is {spec.step}")
    step = spec.step if spec.step is None or integer else float(spec.step)
    return Range(low, high, spec.log, step)


def _valid(field: FieldInfo, value: Any, where: str) -> Any:
    """The value as plain data, checked against the type and bounds of the setting."""
    constrained: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(constrained)
    if isinstance(value, str) and value in ("none", "None", "null"):  # as presets write None
        with contextlib.suppress(ValidationError):
            return adapter.validate_python(None)
    try:
        return adapter.dump_python(adapter.validate_python(value), mode="json")
    except ValidationError as error:
        raise SettingsError(f"{where}: {value!r}: {error.errors()[0]['msg']}") from None


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return None
