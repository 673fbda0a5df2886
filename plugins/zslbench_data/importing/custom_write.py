"""Imports a custom data set below the data root: in the field's own files, regions in a store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from zslbench.data import (
    ATTRIBUTE_NAMES,
    ATTRIBUTE_VECTORS,
    IMAGE_SUFFIXES,
    IMAGES,
    SPLITS_FILE,
    Finding,
    Findings,
    RegionWriter,
    files_below,
    find_layout,
    open_npy,
    require_space,
)
from zslbench.errors import DataError, MissingData, SettingsError
from zslbench.plugin import Dataset
from zslbench.store import sha256_of
from zslbench_data.checking.features import scan
from zslbench_data.download.catalogue import catalogue
from zslbench_data.download.get import write_names
from zslbench_data.exporting.xlsa17 import blocks, write_images, write_splits
from zslbench_data.importing.custom import Attributes, CustomFiles, plan, unit_length
from zslbench_data.importing.records import (
    Imported,
    copy,
    digest_of,
    import_key,
    is_done,
    read_import,
    remove_replaced,
    stored_as,
    target,
    write_import,
)
from zslbench_data.progress import SILENT, Display
from zslbench_data.staging import SPARE, locked, remove_abandoned, staged_folder

_KIND = "custom"
_SHAPES = {
    "features": {2: "(images, d)"},
    "regions": {
        3: "(images, regions, channels)",
        4: "(images, channels, height, width), (images, height, width, channels)",
    },
}
"""Shapes of arrays by their number of axes."""
_LARGEST_HALF = float(np.finfo(np.float16).max)


def import_custom(
    root: Path, name: str, given: CustomFiles, *, force: bool = False, display: Display = SILENT
) -> Imported:
    """Import a custom data set; repeating an import changes nothing.

    Raises:
        MissingData: a file does not exist.
        DataError: everything that is wrong with the files; or another data set has this name; or no space.
        SettingsError: the name cannot be used.
    """
    to = target(root, name)
    folder = to.folder
    if to.key in catalogue().datasets:
        raise SettingsError(f"--name {name}: an official data set has this name; choose another")
    with locked(folder):
        remove_abandoned(folder)
        images = None if given.images is None else _image_files(given.images)
        key = import_key(_inputs(given, images, display))
        notes: tuple[str, ...] = ()
        text = "already there"
        if not is_done(folder, _KIND, key, force=force):
            if (folder / SPLITS_FILE).exists() and not force and read_import(folder, _KIND).get("key") != key:
                advice = "Choose another --name, or pass --force to replace it"
                raise DataError(folder, ["another data set has this name"], advice)
            text, notes = _import(folder, given, images, key, display)
    commands = []
    if given.features is None and given.regions is None:
        commands.append(to.command("zslbench data extract"))
    if given.regions is not None and not (folder / ATTRIBUTE_VECTORS).is_file():
        commands.append(to.command("zslbench data get vectors --dataset"))
    commands += [to.command("zslbench data check"), to.command("zslbench run METHOD --dataset")]
    return Imported(to, text, commands, notes)


def _import(
    folder: Path, given: CustomFiles, images: Sequence[str] | None, key: str, display: Display
) -> tuple[str, tuple[str, ...]]:
    """Returns what was imported, in words, and notes."""
    findings = Findings()
    features = _checked_array(given.features, "features", "float32", findings)
    regions = _checked_array(given.regions, "regions", given.dtype, findings)
    counts = {len(array) for array in (features, regions) if array is not None}
    if features is not None and regions is not None and len(counts) > 1:
        findings.error(f"features of {len(features)} images, regions of {len(regions)}")
    provenance: dict[str, Any] = {}
    if regions is not None and given.regions is not None:
        provenance = {"source": given.regions.name}
        widths = () if features is None else features.shape[1:]
        with findings.guard(given.regions.name):
            regions = _by_region(regions, given, widths, provenance)
    dataset, original_att = plan(given, findings, images, rows=min(counts, default=None))
    size = SPARE + 16 * original_att.size
    size += 0 if features is None else 4 * features.size
    size += 0 if regions is None else regions.size * stored_as(regions.dtype, given.dtype).itemsize
    if given.images is not None and not given.link:
        size += sum((given.images / name).stat().st_size for name in dataset.image_files or ())
    require_space(folder / SPLITS_FILE, size)
    replaced = read_import(folder, _KIND)
    with staged_folder(folder) as staging:
        origins = _write(staging, given, dataset, original_att, features, regions, provenance, display)
        write_import(folder, staging, _KIND, key, origins, features=given.stem)
    remove_replaced(folder, replaced, origins)
    parts = ", ".join(f"{part} {len(rows)}" for part, rows in dataset.split.parts.items())
    text = f"{len(dataset.labels)} images of {len(dataset.class_names)} classes ({parts})"
    return f"{text}, {dataset.semantics.shape[1]} attributes", findings.notes


def _write(
    staging: Path,
    given: CustomFiles,
    dataset: Dataset,
    original_att: Attributes,
    features: np.ndarray | None,
    regions: np.ndarray | None,
    provenance: dict[str, Any],
    display: Display,
) -> dict[str, dict[str, Any]]:
    """Write every file; returns the origin of each."""
    sources: dict[str, Path] = {}
    if features is not None and given.features is not None:
        file = f"{given.stem}.mat"
        display.message(f"writing {file}")
        write_images(
            staging / file, labels=dataset.labels, image_files=dataset.image_files, features=features
        )
        sources[file] = given.features
    if regions is not None and given.regions is not None:
        store = f"regions/{given.store}"
        companions = {"att": dataset.semantics, "original_att": original_att.astype(np.float32)}
        stored = stored_as(regions.dtype, given.dtype)
        with (
            display.task(f"writing {store}", regions.size * stored.itemsize),
            RegionWriter(
                staging / store,
                (regions.shape[0], regions.shape[1], regions.shape[2]),
                stored,
                labels=dataset.labels,
                image_files=dataset.image_files,
                companions=companions | dataset.split.parts,
                provenance=provenance,
            ) as writer,
        ):
            for block in blocks(regions, regions.dtype):
                writer.append(block)
                display.advance(block.size * stored.itemsize)
        sources[store] = given.regions
    if given.images is not None and dataset.image_files is not None:
        copy(given.images, staging / IMAGES, dataset.image_files, given.link, display)
        sources[IMAGES] = given.images
    write_names(staging, dataset.attribute_names or ())
    write_splits(
        staging / SPLITS_FILE,
        dataset,
        att=unit_length(original_att),
        original_att=original_att,
        image_files=features is None,
    )
    sources |= {ATTRIBUTE_NAMES: given.attributes, SPLITS_FILE: given.split}
    return {file: {"archive": source.name} for file, source in sources.items()}


def _by_region(
    maps: np.ndarray, given: CustomFiles, widths: Collection[int], provenance: dict[str, Any]
) -> np.ndarray:
    """The maps as (images, regions, channels), a view; adds their grid to ``provenance``.

    Raises:
        DataError: it is unclear which axis is that of the channels.
    """
    last = find_layout(maps.shape[1:], given.regions, given.layout, widths) == "channels-last"
    if given.layout is not None:
        provenance["layout"] = given.layout
    if maps.ndim == 4:
        provenance["grid"] = list(maps.shape[1:3] if last else maps.shape[2:])
    if last:
        return maps.reshape(len(maps), -1, maps.shape[-1])
    return maps.reshape(*maps.shape[:2], -1).swapaxes(1, 2)


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
            if name != "layout" or value is not None:  # added later
                found[name] = value
        elif value.is_file():
            found[name] = sha256_of(value)
            if name in ("features", "regions"):
                found[f"{name} file"] = value.stem
    if images is not None and given.images is not None:
        display.message(f"checking {len(images)} images")
        found["images"] = digest_of(given.images, images)
    return found


def open_array(path: Path, findings: Findings) -> np.ndarray | None:
    """A ``.npy`` file of real numbers, memory-mapped; None and a finding if it is something else.

    Raises:
        MissingData: there is no such file.
    """
    try:
        return open_npy(path)
    except MissingData:
        raise
    except DataError as error:
        findings.extend(Finding("error", fault, path.name) for fault in error.faults)
        return None


def _checked_array(path: Path | None, what: str, dtype: str, findings: Findings) -> np.ndarray | None:
    """``features`` or ``regions``, memory-mapped; None if there are none, or with a finding if unusable.

    Args:
        dtype: to store them in: ``keep``, ``float16`` or ``float32``.
    """
    array, shapes = None if path is None else open_array(path, findings), _SHAPES[what]
    if path is None or array is None:
        return None
    if array.ndim not in shapes:
        findings.error(f"{array.ndim} axes: {what} are {' or '.join(shapes.values())}", path.name)
        return None
    found = scan(blocks(array))
    if found.nan or found.inf:
        text = f"{found.nan} NaN and {found.inf} infinite values in {len(found.bad_rows)} rows"
        findings.error(f"{text} (row {found.bad_rows[0]})", path.name)
    if stored_as(array.dtype, dtype) == np.float16 and found.largest > _LARGEST_HALF:
        text = f"values up to {found.largest:.3g}, float16 holds up to {_LARGEST_HALF:.0f}"
        findings.error(text, path.name)
    if found.zero_rows:
        findings.note(f"{path.name}: {len(found.zero_rows)} rows are zero (row {found.zero_rows[0]})")
    return array
