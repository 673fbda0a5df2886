"""Loads data sets in the xlsa17 format, with ``<features>.mat`` and region features."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zslbench.data.folder import (
    SEMANTICS_FILES,
    ImageLabels,
    labels_of,
    matrix_of,
    read_folder,
    transposed,
)
from zslbench.data.locations import HOW_TO_CHOOSE, SPLITS_FILE, require_folder
from zslbench.data.matfile import features_files, read_mat
from zslbench.data.provenance import source
from zslbench.data.regions.attach import MEAN, RegionRequest, attach
from zslbench.data.regions.find import find_regions, open_regions
from zslbench.data.validate import Finding, Findings, dataset_findings
from zslbench.errors import DataError, MissingData, UnknownName, did_you_mean
from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.interfaces import DatasetSource
from zslbench.store.files import read_records

DEFAULT_FEATURES = "res101"
"""Stem of the features file of the archive."""

_HOW_TO_GET = (
    "Get it from the archive of Xian et al. (proposed split, version 2), "
    "http://datasets.d2.mpi-inf.mpg.de/xian/xlsa17.zip (FLO: cvpr18xian.zip in the same folder), "
    f"and unpack it; {HOW_TO_CHOOSE}"
)


@dataclass(frozen=True)
class ExpectedCounts:
    """Counts that an official data set must have (Xian et al. 2018, table 1 and the proposed split)."""

    images: int
    classes: int
    unseen: int
    attributes: int
    """Columns of ``att`` and ``original_att``."""
    trainval: int
    test_seen: int
    test_unseen: int
    sentence: int | None = None
    """Columns of the sentence embeddings, if there are any."""

    def differences(self, dataset: Dataset) -> list[Finding]:
        """An error for every count that is not the official one."""
        labels, split = dataset.labels, dataset.split
        classes, attributes = dataset.semantics.shape
        unseen = split.test_unseen[(split.test_unseen >= 0) & (split.test_unseen < len(labels))]
        columns = self.sentence if dataset.semantics_name == "sentence" else self.attributes
        compared = [
            ("images", len(labels), self.images),
            ("classes", classes, self.classes),
            ("unseen classes", len(np.unique(labels[unseen])), self.unseen),
            ("attributes", attributes, columns),
            *((f"{part} images", len(rows), getattr(self, part)) for part, rows in split.parts.items()),
        ]
        return [
            Finding("error", f"{found} {what}, officially {official}", count=found)
            for what, found, official in compared
            if official not in (None, found)
        ]


class FolderSource(DatasetSource):
    """Any folder in the xlsa17 format, under its own name."""

    def load(self, request: DataRequest) -> Dataset:
        """Read the folder called ``request.name`` (in upper or lower case) below the data root.

        Without ``res101``, the features that came with an imported set are the default.
        """
        folder, regions = require_folder(request.root, request.name, request.name), RegionRequest.of(request)
        features, semantics = request.features, request.semantics or "att"
        if features is None and regions is None and not (folder / f"{DEFAULT_FEATURES}.mat").is_file():
            features = _imported_features(folder)
        return read_xlsa17(folder, name=request.name, features=features, semantics=semantics, regions=regions)


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
        regions: which region features to read too; their request then selects the features, and without a
            features file, labels come from them and global features are means over regions.

    Raises:
        UnknownName: unknown ``semantics``, or ``features`` is not a file's name.
        MissingData: a file is missing; lists the features files that exist.
        DataError: a file is damaged, or the data have faults; lists all of them.
    """
    if semantics not in SEMANTICS_FILES:
        raise UnknownName(f"no class semantics '{semantics}', {did_you_mean(semantics, SEMANTICS_FILES)}")
    means = regions is not None and _means(folder, regions)
    requested = regions.features if regions is not None else features
    stem = None if means else features_stem(DEFAULT_FEATURES if requested is None else requested)
    _require_files(folder, stem, SEMANTICS_FILES[semantics])
    region_source, findings = None, Findings()
    if regions is not None:
        region_source = open_regions(find_regions(folder, regions.name, regions.advice))
    x: np.ndarray | None
    if region_source is not None and stem is None:
        file, features = region_source.path.name, f"{region_source.name} {MEAN}"
        x = np.ascontiguousarray(region_source.features)
        images: ImageLabels | None = ImageLabels(region_source.labels, file, region_source.image_files)
    else:
        file, features = f"{stem}.mat", str(stem)
        keys = {"features", "labels"} | ({"image_files"} if image_files or regions is not None else set())
        variables = read_mat(folder / file, keys)
        x = matrix_of(variables, file, "features", findings)
        images = labels_of(variables, file, findings)
        if x is not None and images is not None and x.shape[1] != len(images.labels):
            size = f"{x.shape[0]} x {x.shape[1]} (d x images)"
            findings.error(f"features are {size}, labels {len(images.labels)}", file)
        x = None if x is None else transposed(x)
    contents = read_folder(folder, images, semantics, findings)
    described = contents.unchecked(semantics)
    if described is not None and expected is not None:
        findings.extend(expected.differences(described))
    if x is None or described is None or len(x) != len(described.labels):
        raise findings.failure(folder)
    if len(described.class_names) != len(described.semantics):
        raise findings.failure(folder)
    arrays = {"features": x, "labels": described.labels, "semantics": described.semantics}
    arrays |= described.split.parts
    files = {"features": file, "labels": file, "semantics": SEMANTICS_FILES[semantics]}
    dataset = replace(
        described,
        name=name,
        features=x,
        features_name=features,
        sources=tuple(
            source(key, f"{folder.name}/{files.get(key, SPLITS_FILE)}", one) for key, one in arrays.items()
        ),
    )
    findings.extend(dataset_findings(dataset))
    if region_source is not None and not findings.errors:
        att = described.semantics if semantics == "att" else contents.read_semantics("att")
        if att is not None:
            dataset, different = attach(dataset, region_source, folder, att, file)
            findings.extend([*different, *dataset_findings(dataset)])
    findings.raise_errors(folder)
    return dataset


def features_stem(features: str) -> str:
    """The stem of a features file, given with or without ``.mat``."""
    stem = features.removesuffix(".mat")
    if not stem or Path(stem).name != stem:
        raise UnknownName(f"features '{features}': give the name of a .mat file in the data set's folder")
    return stem


def _require_files(folder: Path, features: str | None, semantics_file: str) -> None:
    """Raise MissingData for every file of the data set that is not there; list the features that are.

    Args:
        features: stem of the features file; None: none is needed.
    """
    files = [] if features is None else [f"{features}.mat"]
    absent = [
        one for one in dict.fromkeys([SPLITS_FILE, semantics_file, *files]) if not (folder / one).is_file()
    ]
    if not absent:
        return
    advice = _HOW_TO_GET if absent != [f"{features}.mat"] or features == DEFAULT_FEATURES else ""
    if f"{features}.mat" in absent and (others := features_files(folder)):
        advice = f"Found: {', '.join(others)}; pass --features {others[0]}. {advice}".rstrip()
    raise MissingData(folder, [f"{one} is missing" for one in absent], advice)


def _imported_features(folder: Path) -> str | None:
    """Stem of the features file that ``zslbench data import`` wrote for a custom set; None: there is none."""
    try:
        found = read_records(folder / "sources.json").get("imports", {}).get("custom", {}).get("features")
    except (DataError, AttributeError):  # ``zslbench data check`` reports a damaged record
        return None
    return found if isinstance(found, str) and (folder / f"{found}.mat").is_file() else None


def _means(folder: Path, regions: RegionRequest) -> bool:
    """Whether global features are means over regions: requested, or nothing else is there."""
    if regions.features is not None:
        return regions.features == MEAN
    return not (folder / f"{DEFAULT_FEATURES}.mat").is_file()
