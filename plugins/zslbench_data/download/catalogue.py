"""The catalogue of the field's data sets: ``catalogue.toml`` as plain data. Imports nothing heavy."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any

from zslbench.errors import UnknownName, did_you_mean

PARTS = ("splits", "names", "images")
"""What a data set can be made of: official splits with the features of their archive, names, pictures."""

_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Archive:
    """One file on the web."""

    key: str
    file: str
    """Its name below ``<data root>/archives``."""
    urls: tuple[str, ...]
    """Where it is, the first choice first."""
    page: str
    """A page for people, for when no address works."""
    holds: str
    licence: str
    size: int | None = None
    """In bytes."""
    exact: bool = False
    """Whether ``size`` is the length, not about the length."""
    checksum: str | None = None
    """``"sha256:<hex>"`` or ``"md5:<hex>"``; None: nobody published one."""


@dataclass(frozen=True)
class Part:
    """What of a data set lies in which archive."""

    what: str
    archive: str
    unpacked: int
    """About how many bytes the wanted files have."""
    members: tuple[str, ...] = ()
    """Wanted files by the last parts of their path."""
    optional: tuple[str, ...] = ()
    """Patterns of files that are taken where the archive has them."""
    below: str | None = None
    """All pictures below this folder."""
    form: str | None = None
    """How attribute names are written down: ``numbered``, ``lines`` or ``mat:<variable>``."""


@dataclass(frozen=True)
class Entry:
    """One data set."""

    name: str
    folder: str
    citation: str
    licence: str
    """Of the pictures; archives have their own."""
    counts: Mapping[str, int]
    """``images``, ``classes``, ``unseen``, ``attributes``, ``trainval``, ``test_seen``, ``test_unseen``, and
    ``sentence`` where the field uses sentence embeddings."""
    parts: tuple[Part, ...]
    semantics: str = "attributes"
    """What ``att`` holds."""
    by_hand: Mapping[str, str] = field(default_factory=lambda: _NONE)
    """Parts that cannot be downloaded, each with what to do instead."""
    never: tuple[str, ...] = ()
    """What this data set cannot have: names, vectors or images."""
    split: tuple[str, ...] = ()
    """Fingerprints of trainval, test_seen and test_unseen as published; see ``protocol/splits.py``."""

    def part(self, what: str) -> Part | None:
        """The part of this kind; None: there is none to download."""
        return next((one for one in self.parts if one.what == what), None)


@dataclass(frozen=True)
class Vectors:
    """Word vectors that can be downloaded."""

    name: str
    archive: str
    member: str
    rule: str
    """How the vectors of several words are put together where the user does not say."""
    citation: str


@dataclass(frozen=True)
class Catalogue:
    """Everything, by key."""

    archives: Mapping[str, Archive]
    datasets: Mapping[str, Entry]
    vectors: Mapping[str, Vectors]

    def entry(self, name: str) -> Entry:
        """The data set of this name.

        Raises:
            UnknownName: there is none, with the nearest.
        """
        try:
            return self.datasets[name.strip().lower()]
        except KeyError:
            known = did_you_mean(name.strip().lower(), self.datasets)
            raise UnknownName(f"the catalogue has no data set '{name}', {known}") from None


@functools.cache
def catalogue() -> Catalogue:
    """The catalogue that the package ships."""
    text = resources.files("zslbench_data.download").joinpath("catalogue.toml").read_text("utf-8")
    return read(tomllib.loads(text))


def read(tables: Mapping[str, Any]) -> Catalogue:
    """A catalogue from TOML's tables. A field that does not exist is a TypeError: the file is ours."""
    return Catalogue(
        MappingProxyType({key: Archive(key, **_frozen(one)) for key, one in tables["archives"].items()}),
        MappingProxyType({key: _entry(key, one) for key, one in tables["datasets"].items()}),
        MappingProxyType({key: Vectors(key, **one) for key, one in tables.get("vectors", {}).items()}),
    )


def _entry(name: str, table: Mapping[str, Any]) -> Entry:
    parts = tuple(Part(**_frozen(one)) for one in table["parts"])
    return Entry(name, **{**_frozen(table), "parts": parts})


def _frozen(table: Mapping[str, Any]) -> dict[str, Any]:
    kinds: dict[type, Any] = {list: tuple, dict: MappingProxyType}
    return {key: kinds.get(type(one), lambda it: it)(one) for key, one in table.items()}
