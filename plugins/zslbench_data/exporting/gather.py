"""Everything of one data set that an export writes, read as a run reads it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from zslbench.data import (
    SPLITS_FILE,
    StoredRegions,
    attribute_names,
    attribute_vectors,
    data_root,
    find_dataset,
    find_folder,
    mat_variables,
    read_described,
    read_mat,
)
from zslbench.data.xlsa17_described import Described
from zslbench.errors import MissingData
from zslbench.experiment import Part, load_dataset
from zslbench.plugin import Dataset, registry, settings_model


@dataclass(frozen=True)
class Gathered:
    """A data set, and what a run does not read of it."""

    dataset: Dataset
    features: bool
    """Whether the data set has global features; without, ``dataset.features`` has no columns to speak of."""
    original_att: Float[np.ndarray, "classes attributes"] | None
    """Where ``dataset.semantics`` are attributes."""
    image_files: tuple[str, ...] | None

    @property
    def grid(self) -> tuple[int, int] | None:
        """Height and width of the regions' map, where it is known."""
        regions = self.dataset.regions
        found = regions.provenance.get("grid") if isinstance(regions, StoredRegions) else None
        return None if found is None else (int(found[0]), int(found[1]))


def gather(
    name: str,
    root: str | Path | None,
    *,
    features: str | None = None,
    semantics: str | None = None,
    regions: str | None = None,
    needs_regions: bool = False,
    needs_features: bool = True,
) -> Gathered:
    """Read a data set by the name that ``zslbench run --dataset`` takes.

    Args:
        features, semantics, regions: as a run's options.
        needs_features: False: without a features file the data set's labels and splits are enough.

    Raises:
        UnknownName: there is no such data set.
        MissingData, DataError: as for a run.
    """
    registered = find_dataset(registry(), name, root=root)
    folder = find_folder(data_root(root), registered.name)
    try:
        dataset = load_dataset(
            Part(registered, settings_model(registered)()),
            root=root,
            features=features,
            semantics=semantics,
            regions=regions,
            needs_regions=needs_regions,
        )
        having = True
    except MissingData:
        described = (
            None if folder is None or needs_features or semantics == "sentence" else read_described(folder)
        )
        if folder is None or described is None:
            raise
        dataset, having = _without_features(registered.name, described, semantics or "att"), False
    original = None if folder is None or dataset.semantics_name == "sentence" else _original(folder)
    files = dataset.image_files
    if files is None and folder is not None:
        files = _image_files(folder, dataset)
    if folder is not None and dataset.semantics_name != "sentence":
        dataset = _with_words(dataset, folder)
    return Gathered(dataset, having, original, files)


def _without_features(name: str, described: Described, semantics: str) -> Dataset:
    att = described.original_att if semantics == "original_att" else described.att
    if att is None:
        raise MissingData(f"data set '{name}'", [f"{SPLITS_FILE}: no variable '{semantics}'"])
    return Dataset(
        name=name,
        features=np.zeros((len(described.labels), 1), dtype=np.float32),
        labels=described.labels,
        class_names=described.class_names,
        semantics=att,
        split=described.split,
        features_name="none",
        semantics_name=semantics,
    )


def _original(folder: Path) -> Float[np.ndarray, "classes attributes"] | None:
    found = read_mat(folder / SPLITS_FILE, {"original_att"}).get("original_att")
    return np.ascontiguousarray(found.T, dtype=np.float32) if isinstance(found, np.ndarray) else None


def _image_files(folder: Path, dataset: Dataset) -> tuple[str, ...] | None:
    """Names from the features file, else from ``labels.mat``."""
    for stem in (dataset.features_name, "labels"):
        path = folder / f"{stem}.mat"
        if path.is_file() and "image_files" in mat_variables(path):
            found = read_mat(path, {"image_files"})["image_files"]
            if isinstance(found, list) and len(found) == len(dataset.labels):
                return tuple(found)
    return None


def _with_words(dataset: Dataset, folder: Path) -> Dataset:
    """With names and word vectors of the attributes, where they lie beside the data set."""
    count = dataset.semantics.shape[1]
    vectors = dataset.attribute_vectors
    if vectors is None:
        found = attribute_vectors(folder, count)
        vectors = None if found is None else found[0]
    names = dataset.attribute_names
    if names is None:
        named = attribute_names(folder, count, vectors)
        names = None if named is None else named[0]
    return replace(dataset, attribute_vectors=vectors, attribute_names=names)
