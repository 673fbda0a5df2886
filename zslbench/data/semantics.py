"""Class semantics from outside a data set's own files: class vectors of the user's, or written by a command.

``--semantics`` takes the path of a file of class vectors, for any data set:

* ``.npy``: (classes, d), a row for each class in the order of class ids;
* ``.csv``: a row for each class, in any order: its name, then numbers in columns named after attributes;

or the name of **named class semantics**, which ``zslbench data semantics`` writes: the array
``<root>/<DS>/semantics/NAME.npy`` and the record ``NAME.json``, which has the classes, digests and how the
vectors were made.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from zslbench.data.attributes import read_vectors
from zslbench.data.folder import SEMANTICS_FILES
from zslbench.data.kinds import absence
from zslbench.data.provenance import array_sha256, source
from zslbench.data.regions.store import RegionStore, is_region_store
from zslbench.data.tables import read_attributes
from zslbench.data.validate import Findings, few, require_valid
from zslbench.errors import DataError
from zslbench.plugin.dataset import Dataset
from zslbench.store.files import checked_json, make_folder, parse_checked_json, write_atomically
from zslbench.store.names import checked_name

NAMED_SEMANTICS = "semantics"
"""Folder of a data set's named class semantics."""

_FILES = (".npy", ".csv")
_NUMBER = re.compile(r"^\d+[\s._-]+(?=\D)")
_SEPARATORS = re.compile(r"[\s_+/]+")
_ABOUT_THE_ARRAY = ("class_names", "array_sha256", "date")
"""Fields of a record; the others say how the vectors were made."""
_AGAIN = "Write it again: zslbench data semantics"


@dataclass(frozen=True)
class ClassVectors:
    """Class semantics from a file."""

    name: str
    """As runs record it: the name of named ones, else that of the file."""
    values: Float[np.ndarray, "classes d"]
    """float32, a row for each class in the order of class ids."""
    columns: tuple[str, ...] | None = None
    """Names of the columns."""
    made: Mapping[str, Any] | None = None
    """How they were made (of named ones), as plain data without dates and paths."""


def semantics_file(name: str | None, folder: Path | None) -> Path | None:
    """The file with these class semantics; None: they are among the data set's own, if it has them.

    Args:
        name: as given to ``--semantics``.
        folder: of the data set; None: it has none.
    """
    if name is None or name in SEMANTICS_FILES:
        return None
    named = None if folder is None else folder / NAMED_SEMANTICS / f"{name}.npy"
    if named is not None and Path(name).name == name and named.is_file():
        return named
    return Path(name).expanduser() if name.lower().endswith(_FILES) else None


def named_semantics(folder: Path) -> list[str]:
    """Names of the data set's named class semantics, sorted."""
    return sorted(path.stem for path in (folder / NAMED_SEMANTICS).glob("[!.]*.npy"))


def with_semantics(dataset: Dataset, path: Path, folder: Path | None = None) -> Dataset:
    """The data set with the class semantics of a file (:func:`semantics_file`) instead of its own.

    Attributes keep their word vectors if the file's columns are named after attributes of the data set.

    Args:
        folder: of the data set; None: it has none.

    Raises:
        MissingData: there is no such file.
        DataError: it cannot be read, its classes are not those of the data set, or values are unusable.
    """
    found = read_class_vectors(path, dataset.class_names)
    rows = {name: row for row, name in enumerate(dataset.attribute_names or ())}
    vectors, columns = dataset.attribute_vectors, found.columns or ()
    known = vectors is not None and columns and set(columns) <= rows.keys()
    vectors = vectors[[rows[one] for one in columns]] if vectors is not None and known else None
    file, sources = f"{path.absolute().parent.name}/{path.name}", []
    for one in dataset.sources:
        if one.array == "semantics":
            sources.append(source("semantics", file, found.values))
        elif one.array != "attribute_vectors":
            sources.append(one)
        elif vectors is not None:
            sources.append(source("attribute_vectors", one.file, vectors))
    made = dict(found.made or {})
    dataset = replace(
        dataset,
        semantics=found.values,
        semantics_name=found.name,
        attribute_names=found.columns,
        attribute_vectors=vectors,
        sources=tuple(sources),
        notes=(*dataset.notes, *_of_another_model(dataset, found, folder)),
        extra={**dataset.extra, "semantics_kind": made.pop("kind", "class vectors"), "semantics_made": made},
    )
    require_valid(dataset, path)
    return dataset


def read_class_vectors(path: Path, class_names: Sequence[str]) -> ClassVectors:
    """The class vectors in a file, one for each of these classes; errors as for :func:`with_semantics`."""
    if path.suffix.lower() == ".csv":
        findings = Findings()
        table = read_attributes(path, findings)
        if table is None or findings.errors:
            raise findings.failure(path.parent)
        rows = rows_of_classes(path, table.index.tolist(), class_names)
        values = np.ascontiguousarray(table.to_numpy()[rows], dtype=np.float32)
        return ClassVectors(path.name, values, tuple(map(str, table.columns)))
    values, about = read_vectors(path), path.with_suffix(".json")
    named = path.parent.name == NAMED_SEMANTICS
    if not named or absence(about):
        if len(values) != len(class_names):
            hint = " (transposed?)" if values.shape[1] == len(class_names) else ""
            fault = f"has {len(values)} rows{hint}, the data set has {len(class_names)} classes"
            raise DataError(path, [fault], "Give a row for each class, in the order of class ids")
        return ClassVectors(path.stem if named else path.name, values)
    try:
        record = parse_checked_json(about.read_bytes())
        names, digest = list(record["class_names"]), record["array_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(about, [f"is damaged ({type(error).__name__}: {error})"], _AGAIN) from None
    if array_sha256(values) != digest:
        raise DataError(path, [f"is not the array that {about.name} describes"], _AGAIN)
    if names != list(class_names):
        differ = few(sorted(set(names) ^ set(class_names))) or "the same, in another order"
        raise DataError(path, [f"was written for other classes ({differ})"], _AGAIN)
    made = {key: one for key, one in record.items() if key not in _ABOUT_THE_ARRAY}
    return ClassVectors(path.stem, values, made=made)


def write_semantics(
    folder: Path,
    name: str,
    values: Float[np.ndarray, "classes d"],
    class_names: Sequence[str],
    made: Mapping[str, Any],
    date: str,
) -> Path:
    """Write named class semantics of the data set in ``folder``, replacing those of the name.

    Args:
        made: how they were made, as JSON data without dates and paths; ``kind`` in a few words.
        date: when, for people.

    Returns:
        The file of the array.
    """
    path = folder / NAMED_SEMANTICS / f"{semantics_name(name)}.npy"
    array, data = np.ascontiguousarray(values, dtype=np.float32), io.BytesIO()
    np.save(data, array, allow_pickle=False)
    record = {"class_names": list(class_names), "array_sha256": array_sha256(array), "date": date, **made}
    make_folder(path.parent)
    write_atomically(path.with_suffix(".json"), checked_json(record))  # alone, it is not read
    write_atomically(path, data.getvalue())
    return path


def semantics_name(name: str) -> str:
    """The name, if class semantics may have it; SettingsError: it is reserved, or cannot name a file."""
    taken = {*SEMANTICS_FILES, *([name.lower()] if name.lower().endswith(_FILES) else [])}
    return checked_name(name, "--name", taken=taken)


def rows_of_classes(path: Path, given: Sequence[str], class_names: Sequence[str]) -> list[int]:
    """The row of each class in a file whose rows are named after classes, in any order.

    A row's name is that of a class or, where that is unambiguous, its words (:func:`class_words`).

    Raises:
        DataError: classes are missing, unknown or named twice; counts and names them.
    """
    words = {class_words(one): one for one in class_names}
    if len(words) < len(class_names):
        words = {}
    own = set(class_names)
    meant = [one if one in own else words.get(class_words(one), one) for one in given]
    place = {name: row for row, name in enumerate(meant)}
    faults = [
        f"{len(names)} {fault} ({few(names)})"
        for names, fault in (
            ([one for one in class_names if one not in place], "classes are missing"),
            ([one for one in place if one not in own], "rows are named after no class of the data set"),
            ([one for row, one in enumerate(meant) if place[one] != row], "rows repeat a class"),
        )
        if names
    ]
    if faults:
        raise DataError(path, faults)
    return [place[one] for one in class_names]


def class_words(name: str) -> str:
    """A class's name as words, for texts.

    >>> class_words("001.Black_footed_Albatross"), class_words("grizzly+bear")
    ('black footed albatross', 'grizzly bear')
    """
    return _SEPARATORS.sub(" ", _NUMBER.sub("", name.strip())).strip().lower()


def _of_another_model(dataset: Dataset, found: ClassVectors, folder: Path | None) -> list[str]:
    """A note if features and texts come from different models but their widths agree: only a model's own
    texts and images share a space."""
    store = None if folder is None else folder / "regions" / dataset.features_name.removesuffix(" mean")
    theirs = (found.made or {}).get("weights_sha256")
    if store is None or theirs is None or not is_region_store(store):
        return []
    ours = (RegionStore.open(store).provenance.get("settings") or {}).get("weights_sha256")
    if ours in (None, theirs) or dataset.features.shape[1] != found.values.shape[1]:
        return []
    text = "come from different models: similarities between images and texts are meaningless (method clip)"
    return [f"features {dataset.features_name} and semantics {found.name} {text}"]
