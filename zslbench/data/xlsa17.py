"""Loads data sets in the xlsa17 format, with ``<features>.mat`` and region features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from zslbench.data.features import read_features
from zslbench.data.folder import SEMANTICS_FILES, FileVariables, FolderContents, ImageLabels
from zslbench.data.images.store import decoded_pictures
from zslbench.data.kinds import absence
from zslbench.data.locations import HOW_TO_CHOOSE, SPLITS_FILE, require_folder
from zslbench.data.matfile import features_files, features_widths, read_mat
from zslbench.data.provenance import source as source_of
from zslbench.data.regions.attach import attach, disagreements
from zslbench.data.regions.find import find_regions, open_regions
from zslbench.data.semantics import named_semantics
from zslbench.data.validate import Finding, Findings, dataset_findings
from zslbench.errors import DataError, MissingData, UnknownName, did_you_mean
from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.interfaces import DatasetSource
from zslbench.store.files import read_records

DEFAULT_FEATURES = "res101"
"""Stem of the features file of the archive."""

MEAN = "mean"
"""``--features mean``: the mean over the region features as global features, named ``"<regions> mean"``."""

_HOW_TO_GET = (
    "Get it from the archive of Xian et al. (proposed split, version 2), "
    "http://datasets.d2.mpi-inf.mpg.de/xian/xlsa17.zip (FLO: cvpr18xian.zip in the same folder), "
    f"and unpack it; {HOW_TO_CHOOSE}"
)


_COUNTED = {"att": "attributes", "original_att": "attributes", "sentence": "sentence"}
"""What official counts call the columns of class semantics."""


def count_differences(dataset: Dataset, official: Mapping[str, int]) -> list[Finding]:
    """An error for every count that is not the official one (Xian et al. 2018, table 1, proposed split).

    Args:
        official: ``images``, ``classes``, ``unseen``, ``attributes`` and ``sentence`` (columns of these
            semantics), ``trainval``, ``test_seen`` and ``test_unseen`` (images).
    """
    labels, split = dataset.labels, dataset.split
    unseen = split.test_unseen[(split.test_unseen >= 0) & (split.test_unseen < len(labels))]
    found = {
        "images": len(labels),
        "classes": len(dataset.semantics),
        "unseen": len(np.unique(labels[unseen])),
        _COUNTED.get(dataset.semantics_name, ""): dataset.semantics.shape[1],
        **{part: len(rows) for part, rows in split.parts.items()},
    }
    what = {"unseen": "unseen classes", "sentence": "columns of sentence embeddings"}
    what |= {part: f"{part} images" for part in split.parts}
    return [
        Finding("error", f"{count} {what.get(key, key)}, officially {official[key]}", count=count)
        for key, count in found.items()
        if official.get(key, count) != count
    ]


class FolderSource(DatasetSource):
    """Any folder in the xlsa17 format, under its own name."""

    def load(self, request: DataRequest) -> Dataset:
        """Read the folder called ``request.name`` (in upper or lower case) below the data root.

        Without ``res101``, the features that came with an imported set are the default.
        """
        folder, features = require_folder(request.root, request.name, request.name), request.features
        if features is None and not request.wants_regions and not _has_default(folder):
            features = _imported_features(folder)
        return read_xlsa17(
            folder,
            name=request.name,
            features=features,
            semantics=request.semantics or "att",
            with_regions=request.wants_regions,
            regions=request.regions,
            images=request.images,
            image_size=request.image_size,
        )


def read_xlsa17(
    folder: Path,
    *,
    name: str,
    features: str | None = None,
    semantics: str = "att",
    expected: Mapping[str, int] | None = None,
    image_files: bool = False,
    with_regions: bool = False,
    regions: str | None = None,
    regions_advice: str = "",
    images: str | None = None,
    image_size: int | None = None,
) -> Dataset:
    """Read one data set and check it.

    Args:
        folder: holds ``att_splits.mat`` and the features file, perhaps ``sent_splits.mat`` and class lists.
        name: the data set's name.
        features: stem of the features file (variables ``features`` d x images, ``labels``); None: ``res101``,
            or, with region features and without this file, ``mean``.
        semantics: ``att``, ``original_att`` or ``sentence`` (the ``att`` of ``sent_splits.mat``).
        expected: counts that the data set must have, as for :func:`count_differences`.
        image_files: whether to read the images' file names too (half a second for 37,000 images).
        with_regions: whether to read region features too; with ``mean``, labels come from them.
        regions: which of them (``--regions``); None: the only ones.
        regions_advice: where to get them, for the message if there are none.
        images, image_size: as for :func:`.decoded_pictures`; with a size, pictures are read as regions.

    Raises:
        UnknownName: unknown ``semantics``, or ``features`` is not a file's name.
        MissingData: a file is missing; lists the features files that exist.
        DataError: a file is damaged, or the data have faults; lists all of them.
    """
    if semantics not in SEMANTICS_FILES:
        known = [*SEMANTICS_FILES, *named_semantics(folder)]
        raise UnknownName(f"no class semantics '{semantics}', {did_you_mean(semantics, known)}")
    with_regions = with_regions or image_size is not None
    if with_regions and features is not None and features.endswith(f" {MEAN}"):  # as runs record them
        regions, features = regions or features.removesuffix(f" {MEAN}"), MEAN
    means = with_regions and (features == MEAN or (features is None and not _has_default(folder)))
    stem = None if means else features_stem(DEFAULT_FEATURES if features is None else features)
    _require_files(folder, stem, SEMANTICS_FILES[semantics], archived=expected is not None)
    source, findings = None, Findings()
    if image_size is not None:
        source = decoded_pictures(folder, image_size, images)
    elif with_regions:
        source = open_regions(find_regions(folder, regions, regions_advice), features_widths(folder))
    x: np.ndarray | None
    if source is not None and means:
        file, features_name = source.path.name, f"{source.name} {MEAN}"
        x = np.ascontiguousarray(source.features)
        labels: ImageLabels | None = ImageLabels(source.labels, file, source.image_files)
    else:
        file, features_name = f"{stem}.mat", str(stem)
        keys = {"labels"} | ({"image_files"} if image_files or with_regions else set())
        x = read_features(folder / file, findings)
        labels = FileVariables(file, read_mat(folder / file, keys), findings).labels()
        if x is not None and labels is not None and len(x) != len(labels.labels):
            size = f"{x.shape[1]} x {len(x)} (d x images)"
            findings.error(f"features are {size}, labels {len(labels.labels)}", file)
    contents = FolderContents(folder, labels, semantics, findings)
    described = contents.unchecked(semantics)
    if described is not None and expected is not None:
        findings.extend(count_differences(described, expected))
    if x is None or described is None or len(x) != len(described.labels):
        raise findings.failure(folder)
    arrays = {"features": x, "labels": described.labels, "semantics": described.semantics}
    arrays |= described.split.parts
    files = {"features": file, "labels": file, "semantics": SEMANTICS_FILES[semantics]}
    dataset = replace(
        described,
        name=name,
        features=x,
        features_name=features_name,
        sources=tuple(
            source_of(key, f"{folder.name}/{files.get(key, SPLITS_FILE)}", one) for key, one in arrays.items()
        ),
    )
    findings.extend(dataset_findings(dataset))
    findings.raise_errors(folder)
    if source is not None:
        att = described.semantics if semantics == "att" else contents.read_semantics("att")
        if att is not None:
            findings.extend(disagreements(source, dataset, att, file))
        findings.raise_errors(folder)
        dataset = attach(dataset, source, folder)
        findings.extend(dataset_findings(dataset))
        findings.raise_errors(folder)
    return dataset


def features_stem(features: str) -> str:
    """The stem of a features file, given with or without ``.mat``."""
    stem = features.removesuffix(".mat")
    if not stem or Path(stem).name != stem:
        raise UnknownName(f"features '{features}': give the name of a .mat file in the data set's folder")
    return stem


def _require_files(folder: Path, features: str | None, semantics_file: str, *, archived: bool) -> None:
    """Raise MissingData for files that are not there.

    Args:
        features: a stem; None: no such file is needed.
        archived: whether the archive of Xian et al. has the data set.
    """
    features_file = f"{features}.mat"
    files = [SPLITS_FILE, semantics_file, *([] if features is None else [features_file])]
    faults = {file: fault for file in dict.fromkeys(files) if (fault := absence(folder / file))}
    absent = list(faults)
    if not absent:
        return
    advice = ""
    if absent != [features_file] or features == DEFAULT_FEATURES:
        advice = _HOW_TO_GET if archived else "Put these files, or links to them, into the folder"
    if features_file in absent and (others := features_files(folder)):
        advice = f"Found: {', '.join(others)}; pass --features {others[0]}. {advice}".rstrip()
    raise MissingData(folder, [f"{one} {fault}" for one, fault in faults.items()], advice)


def _imported_features(folder: Path) -> str | None:
    """Stem of the features file that ``zslbench data import`` wrote for a custom set; None: there is none."""
    try:
        found = read_records(folder / "sources.json").get("imports", {}).get("custom", {}).get("features")
    except (DataError, AttributeError):  # ``zslbench data check`` reports a damaged record
        return None
    return found if isinstance(found, str) and (folder / f"{found}.mat").is_file() else None


def _has_default(folder: Path) -> bool:
    return (folder / f"{DEFAULT_FEATURES}.mat").is_file()
