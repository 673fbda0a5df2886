"""The space of a search: which settings are tried, checked against the components' own types and bounds."""

from __future__ import annotations

import json
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from zslbench import Options, Range
from zslbench.errors import SettingsError, did_you_mean
from zslbench.experiment import Recipe
from zslbench.plugin import fields_of

if TYPE_CHECKING:
    from optuna.trial import Trial

SearchSpec = Range | Options | str | Sequence[Any]
"""What may be searched for a setting: a declaration, the text of ``--search``, or a list of values."""

_HINT = "write KIND.NAME=LOW:HIGH, LOW:HIGH:log, LOW:HIGH:STEP or A,B,C, as generator.lr=1e-5:1e-3:log"


@dataclass(frozen=True)
class Dimension:
    """One setting that is searched."""

    key: str
    """``generator.lr``."""
    of: Range | Options
    whole: bool = False
    """Whether a range holds whole numbers only."""

    def value(self, drawn: Any) -> Any:
        """The setting's value for what was drawn: of options their :func:`label`, else the number."""
        if isinstance(self.of, Range):
            return int(drawn) if self.whole else float(drawn)
        return {label(one): one for one in self.of.values}[drawn]

    def draw(self, trial: Trial) -> Any:
        """Let Optuna draw a value; of options their :func:`label`."""
        if isinstance(self.of, Options):
            return trial.suggest_categorical(self.key, [label(one) for one in self.of.values])
        low, high, step = self.of.low, self.of.high, self.of.step
        if self.whole:
            return trial.suggest_int(self.key, int(low), int(high), step=int(step or 1), log=self.of.log)
        return trial.suggest_float(self.key, low, high, step=step, log=self.of.log)


@dataclass(frozen=True)
class Space:
    """The settings that a search tries, and who named them."""

    dimensions: tuple[Dimension, ...]
    origin: Literal["asked", "declared", "offered"]
    """By the user, by the method's ``tunable``, or by the method's ``search``."""

    def draw(self, trial: Trial) -> dict[str, Any]:
        """Let Optuna draw a value for each dimension."""
        return {one.key: one.draw(trial) for one in self.dimensions}

    def values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Settings from what was drawn for each dimension."""
        return {one.key: one.value(drawn[one.key]) for one in self.dimensions}

    def __str__(self) -> str:
        named = {"asked": "", "declared": " (as the method declares)", "offered": " (as the method offers)"}
        return ", ".join(f"{one.key}={one.of}" for one in self.dimensions) + named[self.origin]

    def as_dict(self) -> dict[str, str]:
        """The space as text, for a study's identity and a preset's provenance."""
        return {one.key: str(one.of) for one in self.dimensions}


def label(value: Any) -> Any:
    """An option as the study stores it: plain values unchanged, others as JSON text."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def parse_search(text: str) -> tuple[str, Range | Options]:
    """``"generator.lr=1e-5:1e-3:log"`` as a key and what is tried for it.

    Raises:
        SettingsError: the text is malformed.
    """
    key, equals, what = (part.strip() for part in text.partition("="))
    kind, dot, name = key.partition(".")
    if not (equals and what and kind and dot and name):
        raise SettingsError(f"--search {text}: {_HINT}")
    return key, parse_spec(what, text)


def parse_spec(what: str, text: str) -> Range | Options:
    """``"1e-5:1e-3:log"`` as a range, ``"256,512"`` as options.

    Raises:
        SettingsError: it is neither.
    """
    parts = [part.strip() for part in what.split(":")]
    if 2 <= len(parts) <= 3 and all(_is_number(part) for part in parts[:2]):
        log = parts[2:] == ["log"]
        if parts[2:] and not log and not _is_number(parts[2]):
            raise SettingsError(f"--search {text}: '{parts[2]}' is neither log nor a step; {_HINT}")
        low, high, *step = (_number(part) for part in parts if part != "log")
        try:
            return Range(low, high, log, step[0] if step else None)
        except ValueError as error:
            raise SettingsError(f"--search {text}: {error}") from None
    values = _listed(what)
    if len(values) < 2:
        raise SettingsError(f"--search {text}: a single value leaves nothing to search, use --set; {_HINT}")
    return Options(tuple(values))


def space_of(
    recipe: Recipe,
    *,
    asked: Mapping[str, SearchSpec],
    declared: Mapping[str, Range | Options],
    fixed: Mapping[str, Any],
) -> Space:
    """The space to search: the user's, else the one that the method declares, else its ``search``.

    Args:
        asked: the user's.
        declared: the method's ``tunable``; settings that the user fixes or that belong to a component which
            the variant replaced are left out.
        fixed: settings that the user gave.

    Raises:
        SettingsError: a setting does not exist, cannot have one of its values, is also fixed, belongs to the
            data set, or is the schedule's length; or there is nothing to search.
    """
    if asked:
        given = {key: _of(key, spec) for key, spec in asked.items()}
        if both := [key for key in given if key in fixed]:
            raise SettingsError(f"{both[0]} is both searched and set: give one of them")
        origin: Literal["asked", "declared", "offered"] = "asked"
    else:
        there = {f"{kind}.{name}" for kind, part in recipe.parts.items() for name in part.values()}
        given = {key: one for key, one in declared.items() if key in there and key not in fixed}
        origin = "declared"
        if not given:
            given = {key: Options(tuple(one)) for key, one in recipe.search.items() if len(one) > 1}
            origin = "offered"
    if not given:
        raise SettingsError(
            f"method '{recipe.method}' declares nothing to search (or all of it is set): "
            "name settings with --search"
        )
    return Space(tuple(_checked(recipe, key, one) for key, one in given.items()), origin)


def _of(key: str, spec: SearchSpec) -> Range | Options:
    if isinstance(spec, Range | Options):
        return spec
    if isinstance(spec, str):
        return parse_spec(spec, f"{key}={spec}")
    if len(spec) < 2:
        raise SettingsError(f"--search {key}: {list(spec)!r} leaves nothing to search")
    return Options(tuple(spec))


def _checked(recipe: Recipe, key: str, of: Range | Options) -> Dimension:
    kind, _, name = key.partition(".")
    where = f"--search {key}={of}"
    if kind == "dataset":
        raise SettingsError(f"{where}: settings of the data set cannot be searched, only a method's")
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
            f"{where}: the length of the schedule is chosen by evaluating along it; "
            "--epochs sets the longest schedule"
        )
    info = fields[name]
    if isinstance(of, Options):
        options = tuple(_valid(info, _or_none(info, one), where) for one in of.values)
        if len({json.dumps(label(one)) for one in options}) < len(options):
            raise SettingsError(f"{where}: an option is given twice")
        return Dimension(key, Options(options))
    numbers = _leaves(info.annotation) & {int, float}
    if not numbers or bool in _leaves(info.annotation):
        raise SettingsError(f"{where}: '{name}' takes no numbers; list its values, as {key}=A,B")
    whole = float not in numbers
    if whole and any(number != int(number) for number in (of.low, of.high, of.step or 1)):
        raise SettingsError(f"{where}: '{name}' takes whole numbers")
    cast = int if whole else float
    low, high = (_valid(info, cast(end), where) for end in (of.low, of.high))
    return Dimension(key, Range(low, high, of.log, None if of.step is None else cast(of.step)), whole)


def _valid(info: FieldInfo, value: Any, where: str) -> Any:
    """The value as the setting stores it, as plain data, within the bounds of the field."""
    field: Any = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(field)
    try:
        return adapter.dump_python(adapter.validate_python(value), mode="json")
    except ValidationError as error:
        raise SettingsError(f"{where}: {value!r}: {error.errors()[0]['msg']}") from None


def _or_none(info: FieldInfo, value: Any) -> Any:
    """None where "none" was written and the setting may be None, as for presets."""
    return None if type(None) in _leaves(info.annotation) and value in ("none", "None", "null") else value


def _leaves(annotation: Any) -> set[Any]:
    """The plain types that an annotation is made of: ``PositiveFloat | None`` is {float, NoneType}."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _leaves(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return set().union(*(_leaves(one) for one in get_args(annotation)))
    return {annotation if origin is None else origin}


def _listed(text: str) -> list[Any]:
    """``"256, 512"`` or ``"[1, 2],none"`` as values: each is TOML where it is TOML, else a word."""
    parts = [""]
    for piece in text.split(","):
        whole = parts[-1] + piece
        if whole.count("[") > whole.count("]"):  # a comma within a list
            parts[-1] = f"{whole},"
        else:
            parts[-1:] = [whole, ""]
    return [_word(part.strip()) for part in parts if part.strip()]


def _word(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _is_number(text: str) -> bool:
    try:
        _number(text)
    except ValueError:
        return False
    return True
