"""Writes a custom data set below the data root: in the field's own files, regions in a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from zslbench.data import IMAGES, SPLITS_FILE, RegionWriter, require_space
from zslbench.errors import DataError, SettingsError
from zslbench.store import sha256_of
from zslbench_data.download.catalogue import catalogue
from zslbench_data.download.get import NAMES_FILE, write_names
from zslbench_data.exporting.xlsa17 import write_images, write_splits
from zslbench_data.importing.arrays import Regions, open_features, open_regions
from zslbench_data.importing.custom import PARTS, Plan, plan
from zslbench_data.importing.pictures import bring, digest, pictures
from zslbench_data.importing.place import (
    Imported,
    alone,
    drop_replaced,
    is_done,
    key_of,
    recorded,
    target,
    write_record,
)
from zslbench_data.progress import Display, Silent
from zslbench_data.staging import staged_folder

_WHAT = "custom"
_SPARE = 1 << 20


@dataclass(frozen=True)
class Custom:
    """What a user has."""

    attributes: Path
    split: Path
    labels: Path | None = None
    images: Path | None = None
    features: Path | None = None
    regions: Path | None = None
    features_name: str | None = None
    """Stem of the features file; None: that of the array's file."""
    regions_name: str | None = None
    """Of the region store; None: the stem of the array's file."""
    dtype: str = "keep"
    """What regions are stored in: ``keep``, ``float16``, ``float32``."""
    seed: int = 0
    link: bool = False
    """Whether pictures are linked instead of copied."""

    @property
    def stem(self) -> str | None:
        """Of the features file; None: there are no features."""
        return None if self.features is None else self.features_name or self.features.stem


def import_custom(
    root: Path, name: str, given: Custom, *, force: bool = False, display: Display | None = None
) -> Imported:
    """Bring a custom data set below the data root; the same one again is found done.

    Raises:
        MissingData: a file is not there.
        DataError: everything that is wrong with the files; or another data set has this name; or no room.
        SettingsError: the name cannot be used, or there is nothing to import.
    """
    folder = target(root, name)
    if folder.name.lower() in catalogue().datasets:
        raise SettingsError(f"--name {name}: is the name of an official data set, choose another")
    if given.images is None and given.features is None and given.regions is None:
        raise SettingsError("nothing to import: give an image folder, features or regions")
    shown = display or Silent()
    with alone(folder):
        known = None if given.images is None else pictures(given.images)
        key = key_of(_facts(given, known, shown))
        if is_done(folder, _WHAT, key):
            return _told(folder, False, "already there", (), given)
        if (folder / SPLITS_FILE).exists() and not force and recorded(folder, _WHAT).get("key") != key:
            raise DataError(
                folder,
                ["another data set has this name"],
                "Choose another --name, or pass --force to replace it",
            )
        return _import(folder, given, known, key, shown)


def _import(folder: Path, given: Custom, known: list[str] | None, key: str, display: Display) -> Imported:
    faults: list[str] = []
    notes: list[str] = []
    features = None if given.features is None else open_features(given.features, faults, notes)
    regions = None if given.regions is None else open_regions(given.regions, given.dtype, faults, notes)
    counts = {len(one) for one in (features, None if regions is None else regions.array) if one is not None}
    if features is not None and regions is not None and len(counts) > 1:
        faults.append(f"features of {len(features)} images, regions of {len(regions.array)}")
    made = plan(
        given.attributes,
        given.split,
        labels=given.labels,
        images=known,
        rows=min(counts) if counts else None,
        seed=given.seed,
        found=faults,
    )
    require_space(folder / SPLITS_FILE, _bytes(given, features, regions, made))
    before = recorded(folder, _WHAT)
    with staged_folder(folder) as aside:
        origins = _write(aside, given, made, features, regions, display)
        write_record(folder, aside, _WHAT, key, origins, features=given.stem)
    drop_replaced(folder, before, origins)
    parts = ", ".join(f"{part} {len(getattr(made.split, part))}" for part in PARTS)
    counted = f"{len(made.labels)} images of {len(made.class_names)} classes ({parts})"
    text = f"{counted}, {len(made.attribute_names)} attributes"
    return _told(folder, True, text, (*notes, *made.notes), given)


def _write(
    aside: Path,
    given: Custom,
    made: Plan,
    features: np.ndarray | None,
    regions: Regions | None,
    display: Display,
) -> dict[str, dict[str, Any]]:
    """Write every file; gives what each is from."""
    origins: dict[str, dict[str, Any]] = {}
    if features is not None and given.features is not None:
        file = f"{given.stem}.mat"
        display.message(f"writing {file}")
        write_images(aside / file, labels=made.labels, image_files=made.image_files, features=features)
        origins[file] = {"archive": given.features.name}
    if regions is not None:
        store = f"regions/{given.regions_name or regions.path.stem}"
        _write_regions(aside / store, made, regions, display)
        origins[store] = {"archive": regions.path.name}
    if given.images is not None and made.image_files is not None:
        bring(given.images, made.image_files, aside / IMAGES, given.link, display)
        origins[IMAGES] = {"archive": given.images.name}
    write_names(aside, list(made.attribute_names))
    origins[NAMES_FILE] = {"archive": given.attributes.name}
    write_splits(
        aside / SPLITS_FILE,
        att=made.att,
        original_att=made.original_att,
        class_names=made.class_names,
        labels=made.labels,
        split=made.split,
        image_files=made.image_files if features is None else None,
    )
    origins[SPLITS_FILE] = {"archive": given.split.name}
    return origins


def _write_regions(store: Path, made: Plan, regions: Regions, display: Display) -> None:
    split = made.split
    companions = {"att": made.att.astype(np.float32), "original_att": made.original_att.astype(np.float32)}
    companions |= {"trainval": split.trainval, "test_seen": split.test_seen, "test_unseen": split.test_unseen}
    provenance: dict[str, Any] = {"source": regions.path.name}
    if regions.grid is not None:
        provenance["grid"] = list(regions.grid)
    images, count, channels = regions.shape
    row = count * channels * regions.dtype.itemsize
    display.begin(f"writing regions {store.name}", images * row)
    try:
        with RegionWriter(
            store, regions.shape, regions.dtype, companions=companions, provenance=provenance
        ) as writer:
            start = 0
            for block in regions.blocks():
                stop = start + len(block)
                names = None if made.image_files is None else made.image_files[start:stop]
                writer.append(block, made.labels[start:stop], names)
                start = stop
                display.advance(len(block) * row)
    finally:
        display.end()


def _bytes(given: Custom, features: np.ndarray | None, regions: Regions | None, made: Plan) -> int:
    """About how many bytes will be written."""
    size = _SPARE + 16 * made.att.size
    if features is not None:
        size += 4 * features.size
    if regions is not None:
        size += regions.array.size * regions.dtype.itemsize
    if given.images is not None and made.image_files is not None and not given.link:
        size += sum((given.images / one).stat().st_size for one in made.image_files)
    return size


def _facts(given: Custom, known: list[str] | None, display: Display) -> Mapping[str, Any]:
    """Everything that the result depends on: settings, and digests of the files."""
    found: dict[str, Any] = {}
    for one in fields(given):
        value = getattr(given, one.name)
        if isinstance(value, Path) and value.is_file():
            found[one.name] = sha256_of(value)
            if one.name in ("features", "regions"):
                found[f"{one.name} file"] = value.stem
        elif not isinstance(value, Path):
            found[one.name] = value
    if known is not None and given.images is not None:
        display.message(f"checking {len(known)} images")
        found["images"] = digest(given.images, known)
    return found


def _told(folder: Path, new: bool, text: str, notes: tuple[str, ...], given: Custom) -> Imported:
    name = folder.name.lower()
    following = []
    if given.features is None and given.regions is None:
        following.append(f"zslbench data extract {name} --backbone resnet101")
    if given.regions is not None and not (folder / "attribute_vectors.npy").is_file():
        following.append(f"zslbench data get vectors --dataset {name}")
    following.append(f"zslbench data check {name}")
    following.append(f"zslbench run METHOD --dataset {name}")
    return Imported(name, folder, new, text, notes, tuple(following))
