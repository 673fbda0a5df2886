"""Word vectors of a data set's attributes: from GloVe, from a file of word vectors, or a precomputed array.

The words of an attribute's name, by rules in this order (examples are official names):

1. lower case;
2. text in parentheses is dropped: ``has_size::small_(5_-_9_in)`` becomes ``has_size::small_``;
3. a leading ``has_`` is dropped, and ``::``, ``_``, ``-``, ``/``, ``+``, ``.`` and ``,`` become blanks:
   ``has_bill_shape::all-purpose`` becomes ``bill shape all purpose``;
4. some words are replaced (``REPLACEMENTS``): by the American spelling (``gray``), a more common word
   (``spatulate``: ``broad``), the parts of compounds (AWA's ``longleg``: ``long leg``), and the full words
   that aPY abbreviates (``furn. leg``: ``furniture leg``);
5. the rest is split at blanks; a word that occurs twice counts twice.

The vectors in use in the field (sums of Google News word2vec vectors, made for DAZLE) differ in two names of
SUN: they keep ``(not part of a tree)``, and ``man-made`` as one word without a vector, a row of zeros.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from zslbench.data import (
    ATTRIBUTE_NAMES,
    ATTRIBUTE_VECTORS,
    HOW_TO_CHOOSE,
    SPLITS_FILE,
    array_sha256,
    attribute_names,
    dataset_key,
    few,
    read_mat,
    read_vectors,
    require_file,
    require_folder,
)
from zslbench.errors import DataError, MissingData
from zslbench.store import sha256_of, write_atomically
from zslbench_data.download.archives import Fetched, Fetcher
from zslbench_data.download.catalogue import Catalogue, Rule
from zslbench_data.download.get import record_sources
from zslbench_data.progress import Display
from zslbench_data.words.vector_files import read_words

RECORD_FILE = "attribute_vectors.json"
"""How the vectors were made: source, rule, unknown words, sha256."""
DIMENSION = 300
"""The usual length of a vector; others are accepted with a warning."""
REPLACEMENTS = {
    "grey": "gray",
    "spatulate": "broad",
    "upperparts": "upper parts",
    "far away": "faraway",
    "toughskin": "tough skin",
    "longleg": "long leg",
    "longneck": "long neck",
    "chewteeth": "chew teeth",
    "meatteeth": "meat teeth",
    "buckteeth": "buck teeth",
    "strainteeth": "strain teeth",
    "newworld": "new world",
    "oldworld": "old world",
    "nestspot": "nest spot",
    "quadrapedal": "quadrupedal",
    "flys": "flies",
    "vert": "vertical",
    "horiz": "horizontal",
    "cyl": "cylinder",
    "furn": "furniture",
    "row wind": "row window",
}
"""Words, or sequences of words, and what is looked up instead."""

_PARENTHESES = re.compile(r"\([^()]*\)")
_SEPARATORS = re.compile(r"[\s_\-/+.,:]+")
_REPLACED = re.compile(r"\b(" + "|".join(sorted(REPLACEMENTS, key=len, reverse=True)) + r")\b")


def words_of(name: str) -> tuple[str, ...]:
    """The words whose vectors describe an attribute.

    >>> words_of("has_bill_shape::curved_(up_or_down)")
    ('bill', 'shape', 'curved')
    >>> words_of("has_upperparts_color::grey")
    ('upper', 'parts', 'color', 'gray')
    """
    text = name.lower()
    while (shorter := _PARENTHESES.sub(" ", text)) != text:  # the innermost first
        text = shorter
    text = _SEPARATORS.sub(" ", text.strip().removeprefix("has_")).strip()
    return tuple(_REPLACED.sub(lambda match: REPLACEMENTS[match[1]], text).split())


def combine(
    names: Sequence[str], vectors: Mapping[str, Float[np.ndarray, " _"]], dimension: int, rule: Rule
) -> tuple[Float[np.ndarray, "attributes dimension"], dict[str, list[str]], list[str]]:
    """Combine the vectors of each name's words.

    ``sum`` adds the vectors of the known words, ``mean`` divides by their number.

    Returns:
        The array; words without a vector, with the names that contain them; and names without any known word,
        whose rows are zero.
    """
    array = np.zeros((len(names), dimension), dtype=np.float32)
    unknown: dict[str, list[str]] = {}
    empty = []
    for row, name in enumerate(names):
        words = words_of(name)
        known = [vectors[one] for one in words if one in vectors]
        for one in dict.fromkeys(one for one in words if one not in vectors):
            unknown.setdefault(one, []).append(name)
        if not known:
            empty.append(name)
            continue
        total = np.sum(np.asarray(known, dtype=np.float64), axis=0)
        array[row] = total if rule == "sum" else total / len(known)
    return array, unknown, empty


def get_vectors(
    catalogue: Catalogue,
    root: Path,
    datasets: Iterable[str],
    source: str,
    fetcher: Fetcher,
    *,
    rule: Rule | None = None,
    allow_missing: bool = False,
) -> dict[str, str]:
    """Write ``attribute_vectors.npy`` and its record into the folder of each data set.

    Existing vectors stay, unless the fetcher is to ``force`` fresh copies.

    Args:
        datasets: names of data sets below ``root``.
        source: ``glove``, ``glove-840b``, a file of word vectors, or a precomputed ``.npy`` array (one data
            set).
        rule: how the vectors of several words are combined; None: ``mean`` for GloVe, whose vectors are used
            that way, and ``sum`` for other files, as the field's word2vec arrays were made.
        allow_missing: attributes without any known word get rows of zeros instead of an error.

    Returns:
        The outcome for each data set, in a few words.

    Raises:
        MissingData: a data set, its attribute names or the source is missing.
        DataError: the source is damaged or does not fit, or an attribute has no known word.
    """
    texts: dict[str, str] = {}
    names: dict[str, tuple[str, ...]] = {}
    ready = source.lower().endswith(".npy")
    folders = {
        name: require_folder(
            root,
            name,
            name,
            f"Download it with: zslbench data get {name}" if name in catalogue.datasets else HOW_TO_CHOOSE,
        )
        for name in dict.fromkeys(map(dataset_key, datasets))
    }
    if ready and len(folders) != 1:
        raise DataError(source, ["a precomputed array is for one data set"], "Name it with --dataset")
    for name, folder in folders.items():
        if (folder / ATTRIBUTE_VECTORS).is_file() and not fetcher.force:
            path = folder / ATTRIBUTE_VECTORS
            texts[name] = f"already at {path}, left unchanged; --force replaces it"
        elif ready:
            texts[name] = _copy(name, folder, Path(source), fetcher.display)
        else:
            names[name] = _names(catalogue, name, folder)
    if not names:
        return texts

    fetched, member = None, None
    if source in catalogue.vectors:
        offer = catalogue.vectors[source]
        fetched = fetcher.fetch(offer.archive)
        path, member, rule = fetched.path, offer.member, rule or offer.rule
        origin: dict[str, Any] = {"name": source, "member": member, **fetched.record}
    else:
        path, rule = Path(source).expanduser(), rule or "sum"
        if not path.is_file():
            known = ", ".join(catalogue.vectors)
            raise MissingData(path, [f"no such file, and not one of the known sources ({known})"])
        origin = _file_record(path)
    words = {word for one in names.values() for name in one for word in words_of(name)}
    fetcher.display.message(f"looking up {len(words)} words in {path.name}")
    with fetcher.opened(fetched) if fetched else contextlib.nullcontext():
        found = read_words(path, words, member=member)
    for dataset, attributes in names.items():
        array, unknown, empty = combine(attributes, found.vectors, found.dimension, rule)
        if empty and not allow_missing:
            raise DataError(
                f"{origin['name']}, for {dataset}",
                [f"{len(empty)} attributes have no known word: {few(empty)}"],
                "Use another source, or pass --allow-missing for rows of zeros",
            )
        record = {
            "source": {**origin, "form": found.form},
            "rule": rule,
            "words": {name: list(words_of(name)) for name in attributes},
            "unknown_words": unknown,
            "zero_rows": empty,
        }
        texts[dataset] = _write(dataset, folders[dataset], array, record, fetcher.display, fetched)
    return texts


def _copy(dataset: str, folder: Path, path: Path, display: Display) -> str:
    """Import a precomputed array."""
    require_file(path)
    array = read_vectors(path)
    faults, attributes = [], _attributes(folder)
    if len(array) != attributes:
        faults.append(f"has {len(array)} rows, {dataset} has {attributes} attributes")
    if array.shape[1] < 2:
        faults.append(f"has {array.shape[1]} columns")
    if not np.isfinite(array).all():
        faults.append("holds values that are not finite")
    if faults:
        raise DataError(path, faults)
    zero = np.flatnonzero(~array.any(axis=1)).tolist()
    record = {"source": {**_file_record(path), "form": "ready array"}, "rule": None, "zero_rows": zero}
    return _write(dataset, folder, array, record, display)


def _write(
    dataset: str,
    folder: Path,
    array: Float[np.ndarray, "attributes dimension"],
    record: dict[str, Any],
    display: Display,
    fetched: Fetched | None = None,
) -> str:
    """Write the record of how they were made, then the array, then the record of their origin.

    Returns:
        What was made, in a few words.
    """
    content = {
        **record,
        "shape": list(array.shape),
        "sha256": array_sha256(array),
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    data = io.BytesIO()
    np.save(data, array, allow_pickle=False)
    path = folder / ATTRIBUTE_VECTORS
    write_atomically(folder / RECORD_FILE, (json.dumps(content, indent=1) + "\n").encode())
    write_atomically(path, data.getvalue())
    origin = {key: one for key, one in record["source"].items() if key != "form"}
    made_of = {"member": origin["member"]} if fetched else {"file": origin}
    sizes = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    record_sources(folder, {ATTRIBUTE_VECTORS: {**sizes, **made_of}}, fetched)
    rule, zero = record["rule"], record["zero_rows"]
    notes = [
        f"no vector for '{word}' (in {len(users)} names: {few(users)})"
        for word, users in record.get("unknown_words", {}).items()
    ]
    if zero:
        notes.append(f"{len(zero)} rows are zero: {few(zero)}{'' if rule else ' (from 0)'}")
    if array.shape[1] != DIMENSION:
        notes.append(f"vectors have {array.shape[1]} numbers; {DIMENSION} are usual")
    for text in notes:
        display.message(f"note: {dataset}: {text}")
    how = f"{rule} over words of {origin['name']}" if rule else f"imported from {origin['name']}"
    return f"{array.shape[0]} x {array.shape[1]} in {path}, {how}"


def _file_record(path: Path) -> dict[str, Any]:
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _names(catalogue: Catalogue, name: str, folder: Path) -> tuple[str, ...]:
    """The names of a data set's attributes, in order."""
    entry = catalogue.datasets.get(name)
    if entry and "vectors" in entry.never:
        raise MissingData(f"word vectors of {name}", ["none exist"], entry.by_hand.get("names", ""))
    found = attribute_names(folder, _attributes(folder), None)
    if found is None:
        how = "Write one name per line, in the order of att"
        if entry:
            how = f"Download them with: zslbench data get {name} --what names"
        raise MissingData(folder / ATTRIBUTE_NAMES, ["no attribute names"], how)
    return found[0]


def _attributes(folder: Path) -> int:
    """The number of attributes, from the splits file."""
    att = read_mat(folder / SPLITS_FILE, {"att"}).get("att")
    if not isinstance(att, np.ndarray) or att.ndim != 2:
        raise DataError(folder / SPLITS_FILE, ["has no matrix 'att', whose rows are the attributes"])
    return len(att)
