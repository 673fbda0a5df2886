"""Settings of a component: frozen, typed, documented; an unknown key names the nearest known one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from zslbench.errors import SettingsError, did_you_mean


class ComponentSettings(BaseModel):
    """Base of every component's settings. Declare fields with a type, a default and a description.

    Source of the design: pydantic models with ``frozen=True`` and ``extra="forbid"``.
    """

    # NaN and infinities cannot be part of a run's identity.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class NoSettings(ComponentSettings):
    """Settings of a component that has none."""


S = TypeVar("S", bound=ComponentSettings)


def build(model: type[S], values: Mapping[str, Any], where: str) -> S:
    """Validate ``values`` into ``model``.

    Args:
        where: prefix of the keys in messages, as ``"generator (tf-vaegan)"``.

    Raises:
        SettingsError: lists every key that is unknown (with the nearest name) or has a wrong value.
    """
    try:
        return model.model_validate({name: _or_none(model, name, value) for name, value in values.items()})
    except ValidationError as error:
        lines = [_explain(model, one) for one in error.errors()]
        raise SettingsError(f"{where}: " + "; ".join(lines)) from None


def _or_none(model: type[ComponentSettings], name: str, value: Any) -> Any:
    """None where a setting may be None and "none" was written: TOML and command lines have no None."""
    info = model.model_fields.get(name)
    may_be_none = info is not None and type(None) in get_args(info.annotation)
    return None if may_be_none and value in ("none", "None", "null") else value


def _explain(model: type[ComponentSettings], error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"no setting '{key}', {did_you_mean(key, model.model_fields)}"
    text = str(error["msg"]).removeprefix("Value error, ")
    # A fault of the settings together has no key, and all of them as its input.
    return f"'{key}' = {error['input']!r}: {text}" if key else text
