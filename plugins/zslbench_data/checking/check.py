"""Checks a data set file by file: an unreadable file is a finding, and the check continues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from zslbench.data import (
    IMAGES,
    SEMANTICS_FILES,
    SPLITS_FILE,
    Finding,
    Findings,
    ImageLabels,
    data_root,
    dataset_key,
    features_stem,
    few,
    find_folder,
    find_regions,
    mat_variables,
    named_semantics,
    region_files,
    shadowed_note,
)
from zslbench.errors import DataError, MissingData, UnknownName, did_you_mean
from zslbench.evaluation import protocol_notes
from zslbench.plugin import registry
from zslbench.store import sha256_of
from zslbench_data.checking.classes import check_class_folders, check_semantics, check_words, compare_labels
from zslbench_data.checking.features import (
    CheckedFolder,
    check_duplicates,
    check_features,
    check_regions,
    open_source,
    report_values,
    scan,
    short_path,
)
from zslbench_data.download.catalogue import CatalogueEntry, catalogue
from zslbench_data.download.get import LISTING, SOURCES, read_sources
from zslbench_data.exporting.xlsa17 import blocks
from zslbench_data.progress import SILENT, Display


def check_dataset(
    name: str,
    root: str | Path | None = None,
    *,
    features: str | None = None,
    regions: str | None = None,
    semantics: str | None = None,
    display: Display = SILENT,
) -> list[Finding]:
    """Check the files of a data set; severities are error, warning and ok.

    Args:
        name: the data set.
        features, regions, semantics: check only these; None: all that exist.

    Raises:
        UnknownName: there is no such data set, or no such semantics.
        MissingData: an official data set that is not on the disk.
    """
    data = data_root(root)
    known = {one.name: one for one in registry().components("dataset")}.get(name.strip().lower())
    shadowed = "" if known is None else shadowed_note(known, root)
    folder = None if shadowed else find_folder(data, name)
    names = [*SEMANTICS_FILES, *(named_semantics(folder) if folder else ())]
    if semantics is not None and semantics not in names:
        raise UnknownName(f"no class semantics '{semantics}', {did_you_mean(semantics, names)}")
    findings = Findings()
    if folder is None:
        if entry := catalogue().datasets.get(name.lower()):
            where, fault = f"data set '{name}'", f"no folder {entry.folder} in {data}"
            raise MissingData(where, [fault], f"Download it with: zslbench data get {name}")
        if shadowed:
            findings.warning(shadowed)
        _check_loaded(name, root, findings)
    else:
        only = {"features": features, "regions": regions, "semantics": semantics}
        _check_folder(folder, only, findings, display, catalogue().datasets.get(dataset_key(name)))
    return [replace(row, severity="ok") if row.severity == "note" else row for row in findings.rows]


def _features(folder: Path, requested: str | None, findings: Findings) -> list[str]:
    """Stems of the features files to check."""
    if requested is not None:
        return [features_stem(requested)]
    found = []
    for path in sorted(folder.glob("*.mat")):
        with findings.guard(path.name):
            if "features" in mat_variables(path):
                found.append(path.stem)
    return found


def _check_folder(
    folder: Path,
    only: Mapping[str, str | None],
    findings: Findings,
    display: Display,
    entry: CatalogueEntry | None,
) -> None:
    display.message(f"checking {folder}")
    stems = _features(folder, only["features"], findings)
    sources, regions = [], only["regions"]
    with findings.guard(regions or folder.name):
        sources = region_files(folder) if regions is None else [find_regions(folder, regions)]
    if not (folder / SPLITS_FILE).is_file():
        findings.error("is missing", SPLITS_FILE)
    images = compare_labels(folder, findings)
    if images is None and sources:
        with findings.guard(short_path(sources[0], folder)):
            source = open_source(sources[0], folder)
            images = ImageLabels(source.labels, sources[0].name, source.image_files)
    elif images is None:
        findings.error("no file has labels", folder.name)
    contents = CheckedFolder(folder, images, findings=findings)
    contents.entry = entry
    check_semantics(contents, [only["semantics"]] if only["semantics"] else _semantics(contents))
    check_class_folders(contents)
    if contents.semantics is not None:
        check_words(folder, contents.semantics.shape[1], findings)
    for stem in stems:
        display.message(f"checking {stem}.mat")
        check_features(contents, stem)
    for path in sources:
        display.message(f"checking {path.name}")
        check_regions(contents, path, stems)
    if not stems and not sources:
        findings.warning("neither features nor regions: no method can run on it", folder.name)
    if (folder / IMAGES).is_dir():
        display.message(f"checking {IMAGES}")
        _check_images(contents)
    _check_recorded(folder, findings)


def _semantics(contents: CheckedFolder) -> list[str]:
    names = ["att", "original_att"] if "original_att" in contents.variables else ["att"]
    sentences = (contents.folder / SEMANTICS_FILES["sentence"]).is_file()
    names = (names if contents.variables else []) + (["sentence"] if sentences else [])
    return names + named_semantics(contents.folder)


def _check_loaded(name: str, root: str | Path | None, findings: Findings) -> None:
    """Check a data set that is not a folder of files by loading it."""
    from zslbench_data.exporting.export import read_complete

    try:
        dataset, _ = read_complete(name, root)
    except DataError as error:
        for fault in error.faults:
            findings.error(fault, name)
        return
    findings.ok(f"loads, {len(dataset.labels)} images of {len(dataset.class_names)} classes", name)
    report_values(scan(blocks(dataset.features)), f"{name}: features", findings)
    doubtful = protocol_notes(dataset)
    for note in dataset.notes:
        findings.add("warning" if note in doubtful else "note", note, name)


def _check_images(contents: CheckedFolder) -> None:
    """Image files: all present, not empty, as in ``images.sha256``, and not in several parts of the split."""
    from zslbench.data import list_images

    folder, findings = contents.folder, contents.findings
    listed: dict[str, str] = {}
    with findings.guard(LISTING):
        if (folder / LISTING).is_file():
            lines = (folder / LISTING).read_text("utf-8", "surrogateescape").splitlines()
            listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    with findings.guard(IMAGES):
        names = [f"{IMAGES}/{file}" for file in list_images(folder).files]
        digests = [sha256_of(folder / name) for name in names]
        empty = [row for row, name in enumerate(names) if (folder / name).stat().st_size == 0]
        if empty:
            shown = few(names[row] for row in empty)
            findings.error(f"empty image files ({shown})", IMAGES, len(empty))
        changed = [
            name for name, digest in zip(names, digests, strict=True) if listed.get(name, digest) != digest
        ]
        if changed:
            findings.error(f"images differ from {LISTING} ({few(changed)})", IMAGES, len(changed))
        check_duplicates(contents, list(map(bytes.fromhex, digests)), empty, "image", IMAGES)
        findings.ok("all images of the data set exist", IMAGES, len(names))


def _check_recorded(folder: Path, findings: Findings) -> None:
    """Compare downloaded or imported files with ``sources.json``."""
    with findings.guard(SOURCES):
        right = 0
        for name, record in read_sources(folder)["files"].items():
            if "sha256" not in record:
                continue
            if not (folder / name).is_file():
                findings.error(f"is missing, though {SOURCES} records it", name)
                continue
            with findings.guard(name):
                if sha256_of(folder / name) == record["sha256"]:
                    right += 1
                else:
                    findings.error(f"differs from the checksum in {SOURCES}", name)
        if right:
            findings.ok("files have the recorded checksums", SOURCES, right)
