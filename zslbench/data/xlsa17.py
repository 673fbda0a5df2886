"""Reads data sets in the xlsa17 format: ``<DS>/att_splits.mat`` and ``<DS>/<features>.mat``.

Format: Xian et al., "Zero-Shot Learning - A Comprehensive Evaluation of the Good, the Bad and the Ugly"
(TPAMI 2018), archive xlsa17, version 2 of the proposed split. Indices and labels are 1-based in the files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zslbench.data import validate
from zslbench.data.locations import SPLITS_FILE, require_folder
from zslbench.data.matfile import read_mat
from zslbench.data.provenance import source
from zslbench.data.regions.attach import MEAN, RegionRequest, attach, mean_name
from zslbench.data.xlsa17_described import PARTS, SPLIT_VARIABLES, read_split, split_disagreements
from zslbench.data.xlsa17_variables import (
    SEMANTICS_FILES,
    ExpectedCounts as ExpectedCounts,
    Variables,
    features_stem,
    imported_features,
    missing_values,
    require,
    wrong_counts,
)
from zslbench.errors import DataError, UnknownName, did_you_mean
from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.interfaces import DatasetSource

DEFAULT_FEATURES = "res101"
"""Stem of the features file of the archive."""


class FolderSource(DatasetSource):
    """Any folder in the xlsa17 format, under its own name."""

    def load(self, request: DataRequest) -> Dataset:
        """Read the folder called ``request.name`` (in upper or lower case) below the data root.

        Where there is no ``res101``, the features that came with an imported set are the default.
        """
        folder, regions = require_folder(request.root, request.name, request.name), RegionRequest.of(request)
        features = request.features
        if features is None and regions is None and not (folder / f"{DEFAULT_FEATURES}.mat").is_file():
            features = imported_features(folder)
        return read_xlsa17(
            folder,
            name=request.name,
            features=features,
            semantics=request.semantics or "att",
            regions=regions,
        )


def read_xlsa17(
    folder: Path,
    *,
    name: str,
    features: str | None = None,
    semantics: str = "att",
    expected: ExpectedCounts | None = None,
    image_files: bool = False,
    regions: RegionRequest | None = None,
) -> Dataset:
    """Read one data set and check it.

    Args:
        folder: holds ``att_splits.mat`` and the features file, perhaps ``sent_splits.mat`` and class lists.
        name: the data set's name.
        features: stem of the features file (variables ``features`` d x images, ``labels``); None: ``res101``.
        semantics: ``att``, ``original_att`` or ``sentence`` (the ``att`` of ``sent_splits.mat``).
        expected: counts that the data set must have.
        image_files: whether to read the images' file names too (half a second for 37,000 images).
        regions: which region features are read too; they then say which features are meant, and where there
            is no features file, labels come with them and global features are means over regions.

    Raises:
        UnknownName: ``semantics`` is none of the three, or ``features`` is no plain name.
        MissingData: a file is missing; lists the features files that are there.
        DataError: a file is damaged, or the data have faults; lists all of them.
    """
    if semantics not in SEMANTICS_FILES:
        raise UnknownName(f"no class semantics '{semantics}', {did_you_mean(semantics, SEMANTICS_FILES)}")
    means = regions is not None and _means(folder, regions)
    asked = regions.features if regions is not None else features
    stem = None if means else features_stem(DEFAULT_FEATURES if asked is None else asked)
    require(folder, stem, SEMANTICS_FILES[semantics])
    region_source = None if regions is None else regions.open(folder)
    splits = read_mat(folder / SPLITS_FILE, {*SPLIT_VARIABLES, "att", "original_att"})
    keys = {"features", "labels"} | ({"image_files"} if image_files or regions is not None else set())
    images = read_mat(folder / f"{stem}.mat", keys) if stem is not None else {}
    sentences = (
        read_mat(folder / SEMANTICS_FILES["sentence"], SPLIT_VARIABLES | {"att"})
        if semantics == "sentence"
        else {}
    )
    described = sentences or splits

    faults: list[str] = []
    found = Variables(faults)
    x: np.ndarray | None
    labels: np.ndarray | None
    if region_source is not None and stem is None:
        file, features = region_source.path.name, mean_name(region_source)
        x, labels = region_source.features.T, region_source.labels
    else:
        file, features = f"{stem}.mat", str(stem)
        x = found.matrix(images, file, "features")
        labels = found.indices(images, file, "labels")
    a = found.matrix(described, SEMANTICS_FILES[semantics], "att" if semantics == "sentence" else semantics)
    reading = read_split(folder, splits, labels, None if a is None else a.shape[1])
    faults += reading.faults
    if x is None or labels is None or a is None or reading.split is None:
        raise DataError(folder, faults)
    split, names, notes = reading.split, reading.class_names, reading.notes
    parts = split.trainval, split.test_seen, split.test_unseen
    if x.shape[1] != len(labels):
        faults.append(f"{file}: features are {x.shape[0]} x {x.shape[1]} (d x images), labels {len(labels)}")
    if sentences:
        faults += split_disagreements(splits, sentences, SEMANTICS_FILES["sentence"])
    if expected is not None:
        faults += wrong_counts(expected, semantics, x, labels, a, *parts)
    if x.shape[1] != len(labels) or len(names) != a.shape[1]:
        raise DataError(folder, faults)

    notes += missing_values(splits, semantics, names)
    with np.errstate(over="ignore"):  # what does not fit into float32 is reported as infinite
        x = np.ascontiguousarray(x.T, dtype=np.float32)
        a = np.ascontiguousarray(a.T, dtype=np.float32)
    files = images.get("image_files")
    where = {"features": file, "labels": file, "semantics": SEMANTICS_FILES[semantics]}
    where |= dict.fromkeys(PARTS, SPLITS_FILE)
    arrays = {"features": x, "labels": labels, "semantics": a}
    arrays |= dict(zip(PARTS, parts, strict=True))
    dataset = Dataset(
        name=name,
        features=x,
        labels=labels,
        class_names=names,
        semantics=a,
        split=split,
        features_name=features,
        semantics_name=semantics,
        image_files=tuple(files) if isinstance(files, list) else None,
        sources=tuple(source(key, f"{folder.name}/{where[key]}", one) for key, one in arrays.items()),
        notes=tuple(notes),
    )
    faults += validate.dataset_faults(dataset)
    if region_source is not None and not faults:
        described_att = found.matrix(splits, SPLITS_FILE, "att")
        if described_att is not None:
            att = np.ascontiguousarray(described_att.T, dtype=np.float32)
            dataset, found_faults = attach(
                dataset, region_source, folder, att, splits_file=SPLITS_FILE, features_file=file
            )
            faults += [one.what for one in found_faults] + validate.dataset_faults(dataset)
    if faults:
        raise DataError(folder, faults)
    return dataset


def _means(folder: Path, regions: RegionRequest) -> bool:
    """Whether global features are means over regions: asked for, or nothing else is there."""
    if regions.features is not None:
        return regions.features == MEAN
    return not (folder / f"{DEFAULT_FEATURES}.mat").is_file()
