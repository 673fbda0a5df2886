"""The catalogue of downloadable data sets, read from ``catalogue.toml``. Imports nothing heavy."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import PurePosixPath
from typing import Any, Literal

from zslbench.data import IMAGES
from zslbench.errors import UnknownName, did_you_mean
from zslbench.store import parse_toml

DOWNLOAD_PARTS = ("splits", "names", "images")
"""The parts of a data set: official splits with the features in their archive, attribute names, images."""

Rule = Literal["sum", "mean"]

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp")


@dataclass(frozen=True)
class Archive:
    """One file on the web."""

    file: str
    """Its name in ``<data root>/archives``."""
    urls: tuple[str, ...]
    """Where to download it, the preferred address first."""
    page: str
    """A web page to visit when no address works."""
    holds: str
    licence: str
    size: int | None = None
    """In bytes."""
    exact: bool = False
    """Whether ``size`` is exact, not approximate."""
    checksum: str | None = None
    """``"sha256:<hex>"`` or ``"md5:<hex>"``; None: none was published."""


@dataclass(frozen=True)
class DownloadPart:
    """Which files of an archive make up one part of a data set."""

    what: str
    archive: Archive
    unpacked: int
    """Approximate size of the files, in bytes."""
    members: tuple[str, ...] = ()
    """Required files, by the end of their path."""
    optional: tuple[str, ...] = ()
    """Patterns of files that the archive may have."""
    below: str | None = None
    """Every image below this folder."""
    form: str | None = None
    """Format of attribute names: ``numbered``, ``lines`` or ``mat:<variable>``."""

    @property
    def files(self) -> list[str]:
        """Names of the required files."""
        return [one.rpartition("/")[2] for one in self.members]

    def target(self, member: PurePosixPath) -> str | None:
        """What a member of the archive becomes in the data set's folder; None: it is not of this part."""
        if "__MACOSX" in member.parts or member.name.startswith("._"):
            return None  # what macOS adds to archives
        if self.below:
            rest = f"/{member}".partition(f"/{self.below}/")[2]
            return f"{IMAGES}/{rest}" if rest.lower().endswith(_IMAGE_SUFFIXES) else None
        return member.name if any(map(member.match, (*self.members, *self.optional))) else None


@dataclass(frozen=True)
class CatalogueEntry:
    """One data set."""

    name: str
    folder: str
    citation: str
    licence: str
    """The licence of the images; archives have their own."""
    counts: Mapping[str, int]
    """``images``, ``classes``, ``unseen``, ``attributes``, ``trainval``, ``test_seen``, ``test_unseen``;
    ``sentence`` for data sets with sentence embeddings."""
    parts: tuple[DownloadPart, ...]
    semantics: str = "attributes"
    """What ``att`` holds."""
    by_hand: Mapping[str, str] = field(default_factory=dict)
    """What to do about parts that cannot be downloaded."""
    never: tuple[str, ...] = ()
    """What does not exist for this data set: names, vectors or images."""
    split: tuple[str, ...] = ()
    """Fingerprints of the published trainval, test_seen and test_unseen."""

    def part(self, what: str) -> DownloadPart | None:
        """The part of this kind; None: it cannot be downloaded."""
        return next((one for one in self.parts if one.what == what), None)


@dataclass(frozen=True)
class Vectors:
    """Downloadable word vectors."""

    archive: Archive
    member: str
    rule: Rule
    """How the vectors of several words are combined by default."""
    citation: str


@dataclass(frozen=True)
class Catalogue:
    """Archives, data sets and word vectors by name."""

    archives: Mapping[str, Archive]
    datasets: Mapping[str, CatalogueEntry]
    vectors: Mapping[str, Vectors]

    def entry(self, name: str) -> CatalogueEntry:
        """The data set of this name.

        Raises:
            UnknownName: names the nearest.
        """
        try:
            return self.datasets[name.strip().lower()]
        except KeyError:
            known = did_you_mean(name.strip().lower(), self.datasets)
            raise UnknownName(f"the catalogue has no data set '{name}', {known}") from None


@functools.cache
def catalogue() -> Catalogue:
    """The catalogue that ships with the package."""
    text = resources.files("zslbench_data.download").joinpath("catalogue.toml").read_text("utf-8")
    return read(parse_toml(text))


def read(tables: Mapping[str, Any]) -> Catalogue:
    """A catalogue from TOML tables. Unknown fields raise TypeError: we ship the file."""
    archives = {key: Archive(**_frozen(one)) for key, one in tables["archives"].items()}

    def resolved(table: Mapping[str, Any]) -> dict[str, Any]:
        return {**_frozen(table), "archive": archives[table["archive"]]}

    datasets = {}
    for name, table in tables["datasets"].items():
        parts = tuple(DownloadPart(**resolved(one)) for one in table["parts"])
        datasets[name] = CatalogueEntry(name, **{**_frozen(table), "parts": parts})
    vectors = {name: Vectors(**resolved(one)) for name, one in tables.get("vectors", {}).items()}
    return Catalogue(archives, datasets, vectors)


def _frozen(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(one) if isinstance(one, list) else one for key, one in table.items()}
