"""Adds region features to a data set: checked against it, with names and word vectors of the attributes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from zslbench.data.attributes import attribute_names, attribute_vectors
from zslbench.data.provenance import source as source_of
from zslbench.data.regions.agreement import disagreements
from zslbench.data.regions.find import find_regions, open_regions
from zslbench.data.regions.stored import StoredRegions
from zslbench.plugin.dataset import DataRequest, Dataset, Source

MEAN = "mean"
"""``--features mean``: the mean over the region features as global features."""

_EXAMPLES = 5


@dataclass(frozen=True)
class RegionsWanted:
    """That a data set's region features are read, and which."""

    name: str | None = None
    """``--regions``; None: the only ones there are."""
    features: str | None = None
    """``--features``; None: the default features file where there is one, else the mean over regions."""
    advice: str = ""
    """Where to get them, for the message when there are none."""

    @classmethod
    def of(cls, request: DataRequest, advice: str = "") -> RegionsWanted | None:
        """What a request asks for; None: no region features, and nothing is looked for."""
        features, name = request.features, request.regions
        if features is not None and features.endswith(f" {MEAN}"):  # as a run's record calls them
            name, features = name or features.removesuffix(f" {MEAN}"), MEAN
        if not request.needs_regions and name is None and features != MEAN:
            return None
        return cls(name, features, advice)

    def open(self, folder: Path) -> StoredRegions:
        """The region features of the data set in ``folder``."""
        return open_regions(find_regions(folder, self.name, self.advice))


def mean_name(source: StoredRegions) -> str:
    """What global features that are means over regions are called: ``"<file> mean"``."""
    return f"{source.name} {MEAN}"


def attach(
    dataset: Dataset,
    source: StoredRegions,
    folder: Path,
    att: Float[np.ndarray, "classes attributes"],
    *,
    splits_file: str,
    features_file: str,
) -> tuple[Dataset, list[str]]:
    """The data set with regions, and everything in which they contradict it.

    Args:
        folder: of the data set.
        att: class attributes as in ``splits_file``, whichever semantics the data set has.
        features_file: name of the file with the labels.
    """
    faults = disagreements(source, dataset, att, splits_file, features_file)
    if faults:
        return dataset, faults
    where = _relative(source.path)
    sources = [*dataset.sources, Source("regions", where, source.sha256)]
    notes = list(dataset.notes)
    names: tuple[str, ...] | None = None
    vectors: np.ndarray | None = None
    if dataset.semantics_name != "sentence":  # its columns are no attributes
        vectors, file = _vectors(source, folder, att.shape[1], notes)
        if vectors is not None:
            sources.append(source_of("attribute_vectors", file, vectors))
        names = _names(folder, att.shape[1], vectors, notes)
        _tell_zero_rows(vectors, names, notes)
    extra = dict(dataset.extra) | ({"simulated": True} if source.simulated else {})
    return (
        replace(
            dataset,
            regions=source,
            attribute_vectors=vectors,
            attribute_names=names,
            image_files=dataset.image_files or source.image_files,
            sources=tuple(sources),
            notes=tuple(notes),
            extra=extra,
        ),
        [],
    )


def _vectors(
    source: StoredRegions, folder: Path, count: int, notes: list[str]
) -> tuple[np.ndarray | None, str]:
    """Those that came with the regions, else those beside the data set, and the file they are from."""
    own = source.companions.get("attribute_vectors")
    if own is None:
        beside = attribute_vectors(folder, count)
        return (None, "") if beside is None else (beside[0], _relative(beside[1]))
    own = np.ascontiguousarray(own, dtype=np.float32)
    beside = attribute_vectors(folder, count)
    if beside is not None and not np.array_equal(own, beside[0]):
        notes.append(f"word vectors are those of {source.path.name}; {beside[1].name} has others")
    return own, _relative(source.path)


def _names(folder: Path, count: int, vectors: np.ndarray | None, notes: list[str]) -> tuple[str, ...] | None:
    found = attribute_names(folder, count, vectors)
    if found is None:
        return None
    names, path = found
    if path.stem.lower() not in (folder.name.lower(), "attribute_names"):
        notes.append(f"attribute names are those of {path.name}, whose attributes are the same")
    return names


def _tell_zero_rows(vectors: np.ndarray | None, names: tuple[str, ...] | None, notes: list[str]) -> None:
    zero = [] if vectors is None else np.flatnonzero(~vectors.any(axis=1)).tolist()
    if zero:
        shown = [names[one] if names else f"number {one}" for one in zero[:_EXAMPLES]]
        more = ", ..." if len(zero) > _EXAMPLES else ""
        notes.append(f"{len(zero)} attributes without a word vector (all zero): {', '.join(shown)}{more}")


def _relative(path: Path) -> str:
    """A file's name in a run's record: with its folder, never with the machine's."""
    return f"{path.parent.name}/{path.name}"
