"""Imports a custom data set below the data root: in the field's own files, regions in a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from zslbench.data import (
    ATTRIBUTE_NAMES,
    ATTRIBUTE_VECTORS,
    IMAGES,
    SPLITS_FILE,
    Findings,
    RegionWriter,
    require_space,
)
from zslbench.errors import DataError, MissingData, SettingsError
from zslbench.store import sha256_of
from zslbench_data.download.catalogue import catalogue
from zslbench_data.download.get import write_names
from zslbench_data.exporting.xlsa17 import write_images, write_splits
from zslbench_data.extraction.images import IMAGE_SUFFIXES, files_below
from zslbench_data.importing.arrays import Regions, open_features, open_regions
from zslbench_data.importing.custom import CustomFiles, Planned, plan
from zslbench_data.importing.records import (
    Imported,
    copy,
    digest_of,
    import_key,
    importing,
    is_done,
    read_import,
    remove_replaced,
    target_folder,
    write_import,
)
from zslbench_data.progress import SILENT, Display
from zslbench_data.staging import SPARE, staged_folder

_KIND = "custom"


def import_custom(
    root: Path, name: str, given: CustomFiles, *, force: bool = False, display: Display = SILENT
) -> Imported:
    """Import a custom data set; repeating an import changes nothing.

    Raises:
        MissingData: a file does not exist.
        DataError: everything that is wrong with the files; or another data set has this name; or no space.
        SettingsError: the name cannot be used, or there is nothing to import.
    """
    folder = target_folder(root, name)
    if folder.name.lower() in catalogue().datasets:
        raise SettingsError(f"--name {name}: an official data set has this name; choose another")
    if given.images is None and given.features is None and given.regions is None:
        raise SettingsError("nothing to import: give an image folder, features or regions")
    with importing(folder):
        images = None if given.images is None else _image_files(given.images)
        key = import_key(_inputs(given, images, display))
        notes: tuple[str, ...] = ()
        text = "already there"
        if not is_done(folder, _KIND, key):
            if (folder / SPLITS_FILE).exists() and not force and read_import(folder, _KIND).get("key") != key:
                advice = "Choose another --name, or pass --force to replace it"
                raise DataError(folder, ["another data set has this name"], advice)
            text, notes = _import(folder, given, images, key, display)
    name, commands = folder.name.lower(), []
    if given.features is None and given.regions is None:
        commands.append(f"zslbench data extract {name} --backbone resnet101")
    if given.regions is not None and not (folder / ATTRIBUTE_VECTORS).is_file():
        commands.append(f"zslbench data get vectors --dataset {name}")
    commands += [f"zslbench data check {name}", f"zslbench run METHOD --dataset {name}"]
    return Imported(folder, text, commands, notes)


def _import(
    folder: Path, given: CustomFiles, images: Sequence[str] | None, key: str, display: Display
) -> tuple[str, tuple[str, ...]]:
    """Returns what was imported, in words, and notes."""
    findings = Findings()
    features = None if given.features is None else open_features(given.features, findings)
    regions = None if given.regions is None else open_regions(given.regions, given.dtype, findings)
    counts = {len(one) for one in (features, None if regions is None else regions.array) if one is not None}
    if features is not None and regions is not None and len(counts) > 1:
        findings.error(f"features of {len(features)} images, regions of {len(regions.array)}")
    planned = plan(given, findings, images, rows=min(counts, default=None))
    dataset = planned.dataset
    size = SPARE + 16 * planned.att.size
    size += 0 if features is None else 4 * features.size
    size += 0 if regions is None else regions.size
    if given.images is not None and not given.link:
        size += sum((given.images / name).stat().st_size for name in dataset.image_files or ())
    require_space(folder / SPLITS_FILE, size)
    replaced = read_import(folder, _KIND)
    with staged_folder(folder) as staging:
        origins = _write(staging, given, planned, features, regions, display)
        write_import(folder, staging, _KIND, key, origins, features=given.stem)
    remove_replaced(folder, replaced, origins)
    parts = ", ".join(f"{part} {len(rows)}" for part, rows in dataset.split.parts.items())
    text = f"{len(dataset.labels)} images of {len(dataset.class_names)} classes ({parts})"
    return f"{text}, {dataset.semantics.shape[1]} attributes", findings.notes


def _write(
    staging: Path,
    given: CustomFiles,
    planned: Planned,
    features: np.ndarray | None,
    regions: Regions | None,
    display: Display,
) -> dict[str, dict[str, Any]]:
    """Write every file; returns the origin of each."""
    dataset, sources = planned.dataset, dict[str, Path]()
    if features is not None and given.features is not None:
        file = f"{given.stem}.mat"
        display.message(f"writing {file}")
        write_images(
            staging / file, labels=dataset.labels, image_files=dataset.image_files, features=features
        )
        sources[file] = given.features
    if regions is not None:
        store = f"regions/{given.regions_name or regions.path.stem}"
        _write_regions(staging / store, planned, regions, display)
        sources[store] = regions.path
    if given.images is not None and dataset.image_files is not None:
        copy(given.images, staging / IMAGES, dataset.image_files, given.link, display)
        sources[IMAGES] = given.images
    write_names(staging, dataset.attribute_names or ())
    write_splits(
        staging / SPLITS_FILE,
        att=planned.att,
        original_att=planned.original_att,
        class_names=dataset.class_names,
        labels=dataset.labels,
        split=dataset.split,
        image_files=dataset.image_files if features is None else None,
    )
    sources |= {ATTRIBUTE_NAMES: given.attributes, SPLITS_FILE: given.split}
    return {file: {"archive": source.name} for file, source in sources.items()}


def _write_regions(store: Path, planned: Planned, regions: Regions, display: Display) -> None:
    dataset = planned.dataset
    companions = {"att": dataset.semantics, "original_att": planned.original_att.astype(np.float32)}
    companions |= dataset.split.parts
    provenance: dict[str, Any] = {"source": regions.path.name}
    if regions.grid is not None:
        provenance["grid"] = list(regions.grid)
    shape: Any = regions.array.shape
    with (
        display.task(f"writing regions {store.name}", regions.size),
        RegionWriter(
            store,
            shape,
            regions.dtype,
            labels=dataset.labels,
            image_files=dataset.image_files,
            companions=companions,
            provenance=provenance,
        ) as writer,
    ):
        for block in regions.blocks():
            writer.append(block)
            display.advance(block.size * regions.dtype.itemsize)


def _image_files(folder: Path) -> list[str]:
    """Images below a folder as ``class/file.jpg``, sorted.

    Raises:
        MissingData: there are none.
    """
    found = [file for file in files_below(folder) if file.lower().endswith(IMAGE_SUFFIXES)]
    if not found:
        raise MissingData(folder, [f"no images here ({', '.join(IMAGE_SUFFIXES)})"])
    return found


def _inputs(given: CustomFiles, images: Sequence[str] | None, display: Display) -> dict[str, Any]:
    """Everything that the result depends on: settings, and digests of the files."""
    found: dict[str, Any] = {}
    for name, value in asdict(given).items():
        if not isinstance(value, Path):
            found[name] = value
        elif value.is_file():
            found[name] = sha256_of(value)
            if name in ("features", "regions"):
                found[f"{name} file"] = value.stem
    if images is not None and given.images is not None:
        display.message(f"checking {len(images)} images")
        found["images"] = digest_of(given.images, images)
    return found
