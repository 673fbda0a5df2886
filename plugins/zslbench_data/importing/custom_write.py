"""Imports a custom data set below the data root: in the field's own files, regions in a store."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import fields
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
    files_digest,
    import_key,
    is_done,
    locked,
    read_import,
    remove_replaced,
    target_folder,
    write_import,
)
from zslbench_data.progress import SILENT, Display
from zslbench_data.staging import staged_folder

_KIND = "custom"
_SPARE = 1 << 20


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
    with locked(folder):
        images = None if given.images is None else _image_files(given.images)
        key = import_key(_inputs(given, images, display))
        if is_done(folder, _KIND, key):
            return _imported(folder, "already there", (), given)
        if (folder / SPLITS_FILE).exists() and not force and read_import(folder, _KIND).get("key") != key:
            raise DataError(
                folder,
                ["another data set has this name"],
                "Choose another --name, or pass --force to replace it",
            )
        return _import(folder, given, images, key, display)


def _import(
    folder: Path, given: CustomFiles, images: list[str] | None, key: str, display: Display
) -> Imported:
    findings = Findings()
    features = None if given.features is None else open_features(given.features, findings)
    regions = None if given.regions is None else open_regions(given.regions, given.dtype, findings)
    counts = {len(one) for one in (features, None if regions is None else regions.array) if one is not None}
    if features is not None and regions is not None and len(counts) > 1:
        findings.error(f"features of {len(features)} images, regions of {len(regions.array)}")
    planned = plan(given, findings, images, rows=min(counts, default=None))
    require_space(folder / SPLITS_FILE, _bytes(given, features, regions, planned))
    replaced = read_import(folder, _KIND)
    with staged_folder(folder) as staging:
        origins = _write(staging, given, planned, features, regions, display)
        write_import(folder, staging, _KIND, key, origins, features=given.stem)
    remove_replaced(folder, replaced, origins)
    dataset = planned.dataset
    parts = ", ".join(f"{part} {len(rows)}" for part, rows in dataset.split.parts.items())
    counted = f"{len(dataset.labels)} images of {len(dataset.class_names)} classes ({parts})"
    text = f"{counted}, {dataset.semantics.shape[1]} attributes"
    return _imported(folder, text, findings.notes, given)


def _write(
    staging: Path,
    given: CustomFiles,
    planned: Planned,
    features: np.ndarray | None,
    regions: Regions | None,
    display: Display,
) -> dict[str, dict[str, Any]]:
    """Write every file; returns the origin of each."""
    dataset, origins = planned.dataset, dict[str, dict[str, Any]]()
    if features is not None and given.features is not None:
        file = f"{given.stem}.mat"
        display.message(f"writing {file}")
        write_images(
            staging / file, labels=dataset.labels, image_files=dataset.image_files, features=features
        )
        origins[file] = {"archive": given.features.name}
    if regions is not None:
        store = f"regions/{given.regions_name or regions.path.stem}"
        _write_regions(staging / store, planned, regions, display)
        origins[store] = {"archive": regions.path.name}
    if given.images is not None and dataset.image_files is not None:
        _bring_images(given.images, dataset.image_files, staging / IMAGES, given.link, display)
        origins[IMAGES] = {"archive": given.images.name}
    write_names(staging, dataset.attribute_names or ())
    origins[ATTRIBUTE_NAMES] = {"archive": given.attributes.name}
    write_splits(
        staging / SPLITS_FILE,
        att=planned.att,
        original_att=planned.original_att,
        class_names=dataset.class_names,
        labels=dataset.labels,
        split=dataset.split,
        image_files=dataset.image_files if features is None else None,
    )
    origins[SPLITS_FILE] = {"archive": given.split.name}
    return origins


def _write_regions(store: Path, planned: Planned, regions: Regions, display: Display) -> None:
    dataset = planned.dataset
    companions = {"att": dataset.semantics, "original_att": planned.original_att.astype(np.float32)}
    companions |= dataset.split.parts
    provenance: dict[str, Any] = {"source": regions.path.name}
    if regions.grid is not None:
        provenance["grid"] = list(regions.grid)
    images, count, channels = regions.array.shape
    with (
        display.task(f"writing regions {store.name}", regions.array.size * regions.dtype.itemsize),
        RegionWriter(
            store, (images, count, channels), regions.dtype, companions=companions, provenance=provenance
        ) as writer,
    ):
        writer.extend(regions.blocks(), dataset.labels, dataset.image_files, advance=display.advance)


def _image_files(folder: Path) -> list[str]:
    """Images below a folder as ``class/file.jpg``, sorted.

    Raises:
        MissingData: there is no such folder, or it has no images.
    """
    if not folder.is_dir():
        raise MissingData(folder, ["no such folder"])
    found = [file for file in files_below(folder) if file.lower().endswith(IMAGE_SUFFIXES)]
    if not found:
        raise MissingData(folder, [f"no images here ({', '.join(IMAGE_SUFFIXES)})"])
    return found


def _bring_images(folder: Path, names: tuple[str, ...], target: Path, link: bool, display: Display) -> None:
    """Copy images to a new folder, or make the new folder a link."""
    if link:
        target.symlink_to(folder.resolve(), target_is_directory=True)
        return
    sizes = [(folder / name).stat().st_size for name in names]
    with display.task(f"copying {len(names)} images", sum(sizes)):
        for name, size in zip(names, sizes, strict=True):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target / name)
            display.advance(size)


def _bytes(given: CustomFiles, features: np.ndarray | None, regions: Regions | None, planned: Planned) -> int:
    """About how many bytes will be written."""
    size = _SPARE + 16 * planned.att.size
    if features is not None:
        size += 4 * features.size
    if regions is not None:
        size += regions.array.size * regions.dtype.itemsize
    if given.images is not None and not given.link:
        size += sum((given.images / one).stat().st_size for one in planned.dataset.image_files or ())
    return size


def _inputs(given: CustomFiles, images: list[str] | None, display: Display) -> Mapping[str, Any]:
    """Everything that the result depends on: settings, and digests of the files."""
    found: dict[str, Any] = {}
    for field in fields(given):
        value = getattr(given, field.name)
        if isinstance(value, Path) and value.is_file():
            found[field.name] = sha256_of(value)
            if field.name in ("features", "regions"):
                found[f"{field.name} file"] = value.stem
        elif not isinstance(value, Path):
            found[field.name] = value
    if images is not None and given.images is not None:
        display.message(f"checking {len(images)} images")
        found["images"] = files_digest(given.images, images)
    return found


def _imported(folder: Path, text: str, notes: tuple[str, ...], given: CustomFiles) -> Imported:
    name = folder.name.lower()
    commands = []
    if given.features is None and given.regions is None:
        commands.append(f"zslbench data extract {name} --backbone resnet101")
    if given.regions is not None and not (folder / ATTRIBUTE_VECTORS).is_file():
        commands.append(f"zslbench data get vectors --dataset {name}")
    commands += [f"zslbench data check {name}", f"zslbench run METHOD --dataset {name}"]
    return Imported(name, folder, text, notes, tuple(commands))
