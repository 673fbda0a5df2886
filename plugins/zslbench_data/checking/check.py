"""Looks a data set over, file by file: a file that cannot be read is a row, and the check goes on."""

from __future__ import annotations

from pathlib import Path

from zslbench.data import (
    IMAGES,
    SEMANTICS_FILES,
    SPLITS_FILE,
    data_root,
    features_stem,
    find_folder,
    find_regions,
    mat_variables,
    region_files,
)
from zslbench.errors import DataError, MissingData, UnknownName, did_you_mean
from zslbench_data.checking.checksums import check_pictures, check_sources
from zslbench_data.checking.classes import check_image_names, check_semantics
from zslbench_data.checking.features import check_features, report
from zslbench_data.checking.findings import Finding, Findings
from zslbench_data.checking.regions import check_regions, open_source
from zslbench_data.checking.scan import scan
from zslbench_data.checking.subject import Subject, complete, read_subject
from zslbench_data.checking.words import check_words
from zslbench_data.download.catalogue import catalogue
from zslbench_data.download.presence import SENTENCES_FILE
from zslbench_data.exporting.xlsa17 import blocks
from zslbench_data.progress import Display, Silent


def check_dataset(
    name: str,
    root: str | Path | None = None,
    *,
    features: str | None = None,
    regions: str | None = None,
    semantics: str | None = None,
    display: Display | None = None,
) -> list[Finding]:
    """Everything that can be said of a data set's files, one row each.

    Args:
        name: the data set.
        features, regions, semantics: only these of its files; None: all that are there.

    Raises:
        UnknownName: there is no such data set, or no such semantics.
        MissingData: an official data set that is not on the disk.
    """
    place = data_root(root)
    folder = find_folder(place, name)
    if semantics is not None and semantics not in SEMANTICS_FILES:
        raise UnknownName(f"no class semantics '{semantics}', {did_you_mean(semantics, SEMANTICS_FILES)}")
    entry = catalogue().datasets.get(name.lower())
    if folder is None and entry is not None:
        raise MissingData(
            f"data set '{name}'", [f"no folder {entry.folder} in {place}"], f"zslbench data get {name}"
        )
    findings, shown = Findings(), display or Silent()
    if folder is None:
        return _loaded(name, root, findings)
    if not (folder / SPLITS_FILE).is_file():
        findings.error("is missing", SPLITS_FILE)
    shown.message(f"looking at {folder}")
    sources = _regions(folder, regions, findings)
    subject = read_subject(folder, entry, findings)
    if subject.labels is None and sources:
        _labels_of(subject, sources[0], findings)
    elif subject.labels is None and subject.splits:
        findings.error("no file has labels: nothing says which class an image is of", folder.name)
    check_semantics(subject, _semantics(subject, semantics), findings)
    check_image_names(subject, findings)
    if subject.att is not None:
        check_words(folder, subject.att.shape[1], findings)
    stems = _features(folder, features, findings)
    for stem in stems:
        shown.message(f"looking at {stem}.mat")
        check_features(subject, stem, findings)
    for path in sources:
        shown.message(f"looking at {path.name}")
        check_regions(subject, path, stems, _relative(path, folder), findings)
    if not stems and not sources:
        findings.warning("neither features nor regions: no method can run on it", folder.name)
    if (folder / IMAGES).is_dir():
        shown.message(f"looking at {IMAGES}")
    check_pictures(subject, findings)
    check_sources(folder, findings)
    return findings.rows


def _labels_of(subject: Subject, source: Path, findings: Findings) -> None:
    """Take the labels of region features: no other file has any."""
    with findings.guard(_relative(source, subject.folder)):
        described = open_source(source)[0]
        subject.labels, subject.labels_from = described.labels, source.name
        subject.image_files = described.image_files
        if subject.splits:
            complete(subject, findings)


def _semantics(subject: Subject, wanted: str | None) -> list[str]:
    if wanted is not None:
        return [wanted]
    there = ["att"] if subject.splits else []
    there += ["original_att"] if "original_att" in subject.splits else []
    return there + (["sentence"] if (subject.folder / SENTENCES_FILE).is_file() else [])


def _features(folder: Path, wanted: str | None, findings: Findings) -> list[str]:
    """Stems of the features files to look at; a file that cannot be read is told by :func:`read_subject`."""
    if wanted is not None:
        stem = features_stem(wanted)
        if not (folder / f"{stem}.mat").is_file():
            findings.error("is missing", f"{stem}.mat")
            return []
        return [stem]
    found = []
    for path in sorted(folder.glob("*.mat")):
        with findings.guard(path.name):
            if "features" in mat_variables(path):
                found.append(path.stem)
    return found


def _regions(folder: Path, wanted: str | None, findings: Findings) -> list[Path]:
    if wanted is None:
        return region_files(folder)
    found: list[Path] = []
    with findings.guard(wanted):
        found.append(find_regions(folder, wanted))
    return found


def _loaded(name: str, root: str | Path | None, findings: Findings) -> list[Finding]:
    """A data set that is no folder of files: what its plugin loads."""
    from zslbench_data.exporting.export import read_exportable

    try:
        dataset = read_exportable(name, root).dataset
    except DataError as error:
        findings.faults(error.faults, name)
        return findings.rows
    findings.ok(f"loads, {len(dataset.labels)} images of {len(dataset.class_names)} classes", name)
    report(scan(blocks(dataset.features)), f"{name}: features", findings)
    for note in dataset.notes:
        findings.ok(note, name)
    return findings.rows


def _relative(path: Path, folder: Path) -> str:
    return (
        path.relative_to(folder).as_posix()
        if path.is_relative_to(folder)
        else f"{path.parent.name}/{path.name}"
    )
