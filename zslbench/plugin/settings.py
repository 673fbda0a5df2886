"""Settings of a component: frozen, typed, documented; an unknown key suggests the nearest known one.

Settings that belong together, such as those of one training stage, can form a :class:`SettingsGroup`. Users
write their names with a dot: ``stage1.lr``.
"""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from zslbench.errors import PluginError, SettingsError, did_you_mean
from zslbench.store.parsing import LARGEST

Count = Annotated[int, Field(gt=0, le=1_000_000)]
"""A setting that counts something: images of a batch, units of a layer, epochs of a preparatory stage."""

_SCHEDULE = object()
Epochs = Annotated[Count, _SCHEDULE]
"""The setting that holds the length of a component's paced program, whatever its name:
``rounds: Epochs = 20``. Model selection chooses how much of it to train, and ``--epochs`` sets it. A
component has at most one."""

_OFFSET = object()
Offset = Annotated[float, _OFFSET]
"""Type of a classifier's setting, of any name, that holds the method's own offset between seen and unseen
classes (calibrated stacking): ``margin: Offset = 0.0``. Runs for which it is not 0 are marked. With
``Offset | None``, None means the embedding's setting of the same name, or 0 if it has none."""


class SettingsGroup(BaseModel):
    """Settings that are one field of a component's settings; groups do not nest."""

    # NaN and infinities cannot be part of a run's identity.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class ComponentSettings(SettingsGroup):
    """Base of every component's settings. Declare fields with a type, a default and a docstring."""

    def flat(self, mode: Literal["json", "python"] = "json") -> dict[str, Any]:
        """Every setting's value by name, ``{"reading": ..., "stage1.lr": ...}``."""
        values: dict[str, Any] = {}
        for name, value in self.model_dump(mode=mode).items():
            group = isinstance(getattr(self, name), SettingsGroup)
            values |= {f"{name}.{key}": one for key, one in value.items()} if group else {name: value}
        return values

    def for_task(self, task: Literal["gzsl", "czsl"]) -> Self:
        """The settings of the classifier of a task; override it where the CZSL classifier has its own."""
        return self

    def through(self, group: str) -> dict[str, Any]:
        """What the networks of the stage ``group`` depend on, so the ``key`` of its program: the settings
        outside groups, and those of the groups up to and including this one."""
        names = list(groups_of(type(self)))
        later = names[names.index(group) + 1 :]
        return {name: value for name, value in self.flat().items() if name.partition(".")[0] not in later}


class NoSettings(ComponentSettings):
    """Settings of a component that has none."""


S = TypeVar("S", bound=ComponentSettings)


def groups_of(model: type[ComponentSettings]) -> dict[str, type[SettingsGroup]]:
    """The groups of a component's settings by name."""
    return {
        name: info.annotation
        for name, info in model.model_fields.items()
        if isinstance(info.annotation, type) and issubclass(info.annotation, SettingsGroup)
    }


def fields_of(model: type[ComponentSettings]) -> dict[str, FieldInfo]:
    """Every setting by name, those of groups as ``"stage1.lr"``."""
    groups = groups_of(model)
    fields: dict[str, FieldInfo] = {}
    for name, info in model.model_fields.items():
        if name in groups:
            fields |= {f"{name}.{key}": one for key, one in groups[name].model_fields.items()}
        else:
            fields[name] = info
    return fields


def offset_of(model: type[ComponentSettings]) -> str | None:
    """The name of the setting that is an ``Offset``; None: there is none."""

    def is_marked(info: FieldInfo) -> bool:
        inside = [getattr(one, "__metadata__", ()) for one in get_args(info.annotation)]
        return any(_OFFSET in one for one in (info.metadata, *inside))

    return next((name for name, info in fields_of(model).items() if is_marked(info)), None)


@functools.cache
def schedule_of(model: type[ComponentSettings]) -> str | None:
    """The name of the setting that is ``Epochs``; None: there is none.

    Raises:
        PluginError: there are two, or it may be None.
    """

    def is_marked(annotation: Any) -> bool:
        inside = [*getattr(annotation, "__metadata__", ()), *get_args(annotation)]
        return any(one is _SCHEDULE or is_marked(one) for one in inside)

    fields = fields_of(model)
    found = [name for name, info in fields.items() if _SCHEDULE in info.metadata]
    if len(found) > 1:
        raise PluginError(
            f"{model.__name__}: {' and '.join(found)} are both Epochs; keep it for the length of the paced "
            "program and make the others a Count"
        )
    if inner := [name for name, info in fields.items() if is_marked(info.annotation)]:
        raise PluginError(
            f"{model.__name__}: '{inner[0]}' must be Epochs itself, not optional or inside another type"
        )
    return found[0] if found else None


def default_of(model: type[ComponentSettings], name: str) -> Any:
    """A setting's default; None if it has none."""
    found: Any = model.model_construct()
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def build(model: type[S], values: Mapping[str, Any], where: str) -> S:
    """Validate ``values`` into ``model``.

    Args:
        values: by name, ``"stage1.lr"`` for a setting of a group.
        where: prefix of messages, for example ``"generator (tf-vaegan)"``.

    Raises:
        SettingsError: lists every key that is unknown (with the nearest name) or has an invalid value.
    """
    fields, groups = fields_of(model), groups_of(model)
    nested: dict[str, Any] = {}
    for name, value in values.items():
        group, _, key = name.partition(".")
        if group in groups and key:
            nested.setdefault(group, {})[key] = _none_or_value(fields.get(name), value)
        elif group in groups and isinstance(value, Mapping):
            nested.setdefault(group, {}).update(value)
        else:
            nested[name] = _none_or_value(fields.get(name), value)
    try:
        built = model.model_validate(nested)
    except ValidationError as error:
        lines = [_explain(model, one) for one in error.errors()]
        raise SettingsError(f"{where}: " + "; ".join(lines)) from None
    for name, value in built.flat("python").items():
        if isinstance(value, int) and abs(value) > LARGEST:
            raise SettingsError(f"{where}: '{name}' is an integer of more than 64 bits")
    return built


def _none_or_value(info: FieldInfo | None, value: Any) -> Any:
    """None for the word "none", if the setting can be None: TOML and command lines cannot express it."""
    optional = info is not None and type(None) in get_args(info.annotation)
    return None if optional and value in ("none", "None", "null") else value


def _explain(model: type[ComponentSettings], error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        fields = fields_of(model)
        grouped = " or ".join(f"'{name}'" for name in fields if name.rpartition(".")[2] == key)
        return f"no setting '{key}', " + (
            f"did you mean {grouped}?" if grouped else did_you_mean(key, fields)
        )
    text = str(error["msg"]).removeprefix("Value error, ")
    # A fault of several settings together has no key.
    return f"'{key}' = {reprlib.repr(error['input'])}: {text}" if key else text
