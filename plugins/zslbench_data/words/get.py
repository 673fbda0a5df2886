"""Word vectors for a data set's attributes: from GloVe, from a file of word vectors, or a ready array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zslbench.data import SPLITS_FILE, attribute_names, find_folder, read_mat
from zslbench.errors import DataError, MissingData
from zslbench.store import sha256_of
from zslbench_data.download import sources
from zslbench_data.download.catalogue import Catalogue
from zslbench_data.download.fetch import Fetched, Fetcher
from zslbench_data.download.names import NAMES_FILE
from zslbench_data.words.build import VECTORS_FILE, Built, Rule, build, read_ready, write
from zslbench_data.words.formats import Found, read_words
from zslbench_data.words.plain import plain_words

DIMENSION = 300
"""What the field's vectors have; others are accepted and noted."""

_SHOWN = 8


@dataclass(frozen=True)
class Made:
    """What became of one data set's vectors."""

    dataset: str
    path: Path
    shape: tuple[int, int]
    text: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Subject:
    """A data set that vectors are made for."""

    name: str
    folder: Path
    names: tuple[str, ...]


def get_vectors(
    catalogue: Catalogue,
    root: Path,
    datasets: Iterable[str],
    source: str,
    fetcher: Fetcher,
    *,
    rule: Rule | None = None,
    allow_missing: bool = False,
    force: bool = False,
) -> list[Made]:
    """Write ``attribute_vectors.npy`` and its record into the folder of each data set.

    Args:
        datasets: names of data sets below ``root``.
        source: ``glove``, ``glove-840b``, a file of word vectors, or a ready ``.npy`` array (one data set).
        rule: how the vectors of several words are put together; None: ``mean`` for GloVe, whose vectors
            are used that way, and ``sum`` for other files, as the field's word2vec arrays were made.
        allow_missing: rows of attributes without any known word are zero instead of an error.
        force: replace vectors that are there.

    Raises:
        MissingData: a data set or its attribute names are not there, or the source is not.
        DataError: the source is damaged or does not fit, or an attribute has no known word.
    """
    made: list[Made] = []
    wanted: list[_Subject] = []
    ready = source.lower().endswith(".npy")
    chosen = [_folder(root, one) for one in dict.fromkeys(one.lower() for one in datasets)]
    if ready and len(chosen) != 1:
        raise DataError(source, ["a ready array is for one data set"], "Name it with --dataset")
    for name, folder in chosen:
        path = folder / VECTORS_FILE
        if path.is_file() and not force:
            text = f"already at {path}, and left alone; --force replaces it"
            made.append(Made(name, path, (0, 0), text))
        elif ready:
            made.append(_import(name, folder, Path(source)))
        else:
            wanted.append(_Subject(name, folder, _names(catalogue, name, folder)))
    if wanted:
        made += _make(catalogue, wanted, source, fetcher, rule, allow_missing)
    return made


def _make(
    catalogue: Catalogue,
    subjects: list[_Subject],
    source: str,
    fetcher: Fetcher,
    rule: Rule | None,
    allow_missing: bool,
) -> list[Made]:
    words = {word for one in subjects for name in one.names for word in plain_words(name)}
    fetched: Fetched | None = None
    if source in catalogue.vectors:
        offer = catalogue.vectors[source]
        fetched = fetcher.fetch(catalogue.archives[offer.archive])
        path, member = fetched.path, offer.member
        rule = rule or ("sum" if offer.rule == "sum" else "mean")
        origin: dict[str, Any] = {"name": source, "member": member, **fetched.record}
    else:
        path, member, rule = Path(source).expanduser(), None, rule or "sum"
        if not path.is_file():
            known = ", ".join(catalogue.vectors)
            raise MissingData(path, [f"no such file, and none of the known sources ({known})"])
        origin = {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
    fetcher.display.say(f"looking up {len(words)} words in {path.name}")
    found = read_words(path, words, member=member)
    return [_one(one, found, origin, rule, allow_missing, fetched) for one in subjects]


def _one(
    subject: _Subject,
    found: Found,
    origin: Mapping[str, Any],
    rule: Rule,
    allow_missing: bool,
    fetched: Fetched | None,
) -> Made:
    built = build(subject.names, found.vectors, found.dimension, rule)
    if built.empty and not allow_missing:
        raise DataError(
            f"{origin['name']}, for {subject.name}",
            [f"no word of {len(built.empty)} attributes is known: {_few(built.empty)}"],
            "Take another source, or pass --allow-missing for rows of zeros",
        )
    record = {
        "source": {**origin, "form": found.form},
        "rule": rule,
        "words": {name: list(plain_words(name)) for name in subject.names},
        "unknown_words": {word: list(names) for word, names in built.unknown.items()},
        "zero_rows": list(built.empty),
    }
    path = subject.folder / VECTORS_FILE
    write(subject.folder, built.array, record)
    _record(subject.folder, origin, fetched)
    text = f"{len(built.array)} x {found.dimension} in {path}, {rule} over words of {origin['name']}"
    return Made(subject.name, path, built.array.shape, text, _warnings(built, found.dimension))


def _warnings(built: Built, dimension: int) -> tuple[str, ...]:
    told = [
        f"no vector for '{word}' (in {len(names)} names: {_few(names)})"
        for word, names in built.unknown.items()
    ]
    if built.empty:
        told.append(f"{len(built.empty)} rows are zero: {_few(built.empty)}")
    if dimension != DIMENSION:
        told.append(f"vectors of {dimension} numbers; the field's have {DIMENSION}")
    return tuple(told)


def _import(name: str, folder: Path, path: Path) -> Made:
    if not path.is_file():
        raise MissingData(path, ["no such file"])
    array = read_ready(path, _attributes(folder), name)
    origin = {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
    zero = [row for row, vector in enumerate(array) if not vector.any()]
    write(folder, array, {"source": {**origin, "form": "ready array"}, "rule": None, "zero_rows": zero})
    _record(folder, origin, None)
    warned = [f"{len(zero)} rows are zero: row {_few([str(one) for one in zero])} (from 0)"] if zero else []
    if array.shape[1] != DIMENSION:
        warned.append(f"vectors of {array.shape[1]} numbers; the field's have {DIMENSION}")
    text = f"{array.shape[0]} x {array.shape[1]} in {folder / VECTORS_FILE}, imported from {path.name}"
    return Made(name, folder / VECTORS_FILE, array.shape, text, tuple(warned))


def _record(folder: Path, origin: Mapping[str, Any], fetched: Fetched | None) -> None:
    path = folder / VECTORS_FILE
    what = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    made_of = (
        {"archive": fetched.archive.file, "member": origin["member"]} if fetched else {"file": dict(origin)}
    )
    sources.record(folder, {VECTORS_FILE: {**what, **made_of}}, fetched)


def _folder(root: Path, name: str) -> tuple[str, Path]:
    folder = find_folder(root, name)
    if folder is None:
        raise MissingData(f"data set '{name}'", [f"no such folder in {root}"], f"zslbench data get {name}")
    return name, folder


def _names(catalogue: Catalogue, name: str, folder: Path) -> tuple[str, ...]:
    """Names of a data set's attributes, as many as it has attributes."""
    entry = catalogue.datasets.get(name)
    if entry and "vectors" in entry.never:
        raise MissingData(f"word vectors of {name}", ["there can be none"], entry.by_hand.get("names", ""))
    found = attribute_names(folder, _attributes(folder), None)
    if found is None:
        how = f"zslbench data get {name} --what names" if entry else "Write one name a line, in att's order"
        raise MissingData(folder / NAMES_FILE, ["no attribute names"], how)
    return found[0]


def _attributes(folder: Path) -> int:
    att = read_mat(folder / SPLITS_FILE, {"att"}).get("att")
    if att is None or isinstance(att, list) or att.ndim != 2:
        raise DataError(folder / SPLITS_FILE, ["has no matrix 'att', whose rows are the attributes"])
    return len(att)


def _few(items: Iterable[str]) -> str:
    shown = list(items)
    return ", ".join(shown[:_SHOWN]) + (f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")
