"""The content of ``run.json``: the types of all fields that zslbench reads.

Records are checked both when written and when read, so code that has a record can rely on it. Fields of
the models without a default are required; further fields may hold anything.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

FORMAT = 1
FILE_NAME = r"^[A-Za-z0-9_-]+\.(parquet|safetensors)$"
_LEVELS = 50
"""Of nested lists and tables: more than any record has, and few enough for functions that recurse."""

_Table = dict[str, Any]


class _Fields(BaseModel, strict=True, extra="allow"): ...


class _IdentityData(_Fields):
    candidates: _Table = {}


class _Identity(_Fields):
    method: str
    variant: str | None
    components: _Table
    settings: dict[str, _Table]
    selection: _Table
    versions: dict[str, str]
    reading: str | None = None
    search: _Table = {}
    data: _IdentityData = _IdentityData()
    execution: _Table = {}


class _Run(_Fields, extra="forbid"):
    id: str
    method: str
    variant: str | None
    dataset: str
    seed: int
    selection: Literal["val", "last", "oracle", "oracle-scripts", "external"]
    identity: _Identity
    resumed: bool = False
    reading: str | None = None


class _Reading(_Fields):
    default: bool | None = None
    summary: str | None = None


class _Environment(_Fields):
    reading: _Reading | None = None
    seconds: float | None = None
    group: str | None = None
    weights: str | None = None
    chosen: _Table | None = None
    stages: list[_Table] | None = None
    tuned: list[_Table] | None = None


class _Array(_Fields):
    array: str
    sha256: str
    file: str


class _Data(_Fields):
    features: str
    semantics: str
    arrays: list[_Array]
    split_fingerprint: str = ""
    candidates: str = ""
    regions: _Table | None = None
    extra: _Table = {}


class _Content(_Fields):
    format: int
    run: _Run
    finished: str
    metrics: dict[str, float | int | str | None]
    environment: _Environment
    data: _Data
    notes: list[str]
    files: dict[Annotated[str, Field(pattern=FILE_NAME)], str]


def check_content(content: Mapping[str, Any]) -> None:
    """Check the parsed ``run.json`` of a run.

    Raises:
        ValueError: a field is missing or invalid; says which.
    """
    if content.get("format") != FORMAT:
        raise ValueError(f"format {content.get('format')!r}, but this zslbench reads format {FORMAT}")
    try:
        _Content.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(one) for one in first["loc"][:4])
        given = "" if first["type"] == "missing" else f", not {first['input']!r:.40}"
        raise ValueError(f"{where}: {first['msg'].replace('Input should', 'must')}{given}") from None
    try:
        aware = datetime.fromisoformat(content["finished"]).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise ValueError(f"finished: {content['finished']!r:.40} is not a time with its time zone")
    _check_plain(content, 0, "")


def _check_plain(value: Any, level: int, where: str) -> None:
    """Check that one can compute with the numbers, and nothing is nested too deeply."""
    if level == _LEVELS:
        raise ValueError(f"{where.partition('.')[0]}: more than {_LEVELS} nested lists and tables")
    for name, one in value.items() if type(value) is dict else enumerate(value):
        kind = type(one)
        if kind is str:
            continue
        if kind is dict or kind is list:
            _check_plain(one, level + 1, f"{where}.{name}" if where else str(name))
        elif (kind is int or kind is float) and not abs(one) <= sys.float_info.max:
            at = f"{where}.{name}" if where else name
            raise ValueError(f"{at}: not a finite number, or too large")
