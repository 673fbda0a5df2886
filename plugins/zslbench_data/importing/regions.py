"""Imports region features in the HDF5 layout of DAZLE and SC-EGG into a region store of the data set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from zslbench.data import (
    PARTS,
    SPLITS_FILE,
    Hdf5Metadata,
    ImageLabels,
    RegionWriter,
    as_float32,
    dataset_faults,
    dataset_folders,
    disagreements,
    no_features,
    read_hdf5_blocks,
    read_hdf5_metadata,
    read_without_features,
    region_files,
)
from zslbench.errors import DataError, MissingData, SettingsError
from zslbench.plugin import Dataset, OfficialSplit
from zslbench.store import sha256_of
from zslbench_data.download.catalogue import catalogue
from zslbench_data.exporting.xlsa17 import write_splits
from zslbench_data.importing.arrays import stored_as
from zslbench_data.importing.records import (
    Imported,
    import_key,
    is_done,
    locked,
    target_folder,
    write_import,
)
from zslbench_data.progress import SILENT, Display, human
from zslbench_data.staging import staged_folder

_AUTHORS_PREFIX = "feature_map_resnet_101_"


def import_regions(
    root: Path,
    path: Path,
    *,
    name: str | None = None,
    regions_name: str | None = None,
    dtype: str = "keep",
    force: bool = False,
    display: Display = SILENT,
) -> Imported:
    """Copy a region file to ``<root>/<DS>/regions/<name>``; repeating an import changes nothing.

    The file's images, classes, attributes and split must be those of the data set, which must be free of
    faults. If there is no data set of this name, one is made from the file's own labels, attributes and
    split.

    Args:
        name: the data set; None: the one that the file is named after.
        regions_name: of the store; None: the file's name without its data set and ending.
        dtype: ``keep`` (uint8 keeps its scale), ``float16`` or ``float32``.
        force: replace a store of this name.

    Raises:
        MissingData: no such file, or there is no such data set and the file does not describe one.
        DataError: the file is damaged or contradicts the data set: every fault with counts; or no space.
        SettingsError: the name cannot be used, or there is none.
    """
    if not path.is_file():
        raise MissingData(path, ["no such file"])
    folder = target_folder(root, name or _dataset_of(root, path))
    name = folder.name.lower()
    prefix = f"{name}_"
    short = path.stem[len(prefix) :] if path.stem.lower().startswith(prefix) else ""
    store = target_folder(folder, regions_name or short or path.stem)
    kind = f"regions/{store.name}"
    commands, notes = [f"zslbench data check {name}"], []
    with locked(folder):
        metadata = read_hdf5_metadata(path)
        display.message(f"checking {path}")
        key = import_key({"file": path.name, "sha256": sha256_of(path), "dtype": dtype})
        if is_done(folder, kind, key):
            return Imported(name, folder, f"{kind} is already there", (), tuple(commands))
        if (folder / kind).exists() and not force:
            raise DataError(
                folder / kind,
                ["already exists, made from another file or with another --dtype"],
                "Choose another --regions-name, or pass --force to replace it",
            )
        new = None if (folder / SPLITS_FILE).is_file() else _dataset_in(metadata, folder)
        if new is None:
            _compare(folder, metadata)
        stored = stored_as(metadata.dtype, dtype)
        with staged_folder(folder) as staging:
            size = _copy(metadata, staging / kind, stored, display)
            origins = {kind: {"archive": path.name}}
            if new is not None:
                write_splits(
                    staging / SPLITS_FILE,
                    att=new.semantics,
                    original_att=metadata.companions.get("original_att"),
                    class_names=new.class_names,
                    labels=new.labels,
                    split=new.split,
                    image_files=new.image_files,
                )
                origins[SPLITS_FILE] = {"archive": path.name}
            write_import(folder, staging, kind, key, origins)
    if others := [str(other) for other in region_files(folder) if other != folder / kind]:
        commands.append(f"zslbench run METHOD --dataset {name} --regions {store.name}")
        choice = f"--regions {store.name} selects this one"
        notes.append(f"{', '.join(others)} exists too: {choice}, or move the other away")
    shape = " x ".join(map(str, metadata.shape))
    text = f"{kind}: {shape} {stored.name}, {human(size)}"
    return Imported(name, folder, text, tuple(notes), tuple(commands))


def _dataset_of(root: Path, path: Path) -> str:
    """The data set that a file is named after: ``<DS>_net.hdf5`` or ``feature_map_ResNet_101_<DS>.hdf5``.

    Raises:
        SettingsError: there is none.
    """
    stem = path.stem.lower().removeprefix(_AUTHORS_PREFIX)
    known = {key: entry.folder for key, entry in catalogue().datasets.items()}
    known |= {key: folder.name for key, folder in dataset_folders(root).items()}
    for key in sorted(known, key=len, reverse=True):
        if stem == key or stem.startswith(f"{key}_"):
            return known[key]
    raise SettingsError(f"{path.name} is not named after a data set under {root}: pass --name")


def _compare(folder: Path, metadata: Hdf5Metadata) -> None:
    """Raise DataError if the file is not of this data set's images, classes, attributes and split."""
    dataset = read_without_features(folder)
    if dataset is None:  # no file of the folder has labels
        images = ImageLabels(metadata.labels, metadata.path.name, metadata.image_files)
        dataset = read_without_features(folder, images)
    if dataset is not None:
        labels_file = f"the files of {folder.name}"
        if found := disagreements(metadata, dataset, dataset.semantics, labels_file):
            raise DataError(metadata.path, [finding.what for finding in found], "Nothing was imported")


def _dataset_in(metadata: Hdf5Metadata, folder: Path) -> Dataset:
    """The data set that a region file describes by itself."""
    entry = catalogue().datasets.get(folder.name.lower())
    if entry is not None or not {"att", *PARTS} <= metadata.companions.keys():
        how = f"zslbench data get {entry.name}" if entry else "Import or write its att_splits.mat first"
        raise MissingData(folder, [f"{SPLITS_FILE} is missing"], f"{how}, then import again")
    att = metadata.companions["att"]
    dataset = Dataset(
        name=folder.name,
        features=no_features(metadata.shape[0]),
        labels=metadata.labels,
        class_names=_class_names(metadata, len(att)),
        semantics=att,
        split=OfficialSplit(*(metadata.companions[part] for part in PARTS)),
        features_name="none",
        semantics_name="att",
        image_files=metadata.image_files,
    )
    if faults := dataset_faults(dataset):
        raise DataError(metadata.path, faults, "Nothing was imported")
    return dataset


def _class_names(metadata: Hdf5Metadata, count: int) -> tuple[str, ...]:
    """The images' folders if each class has its own, else numbers."""
    numbered = tuple(f"class_{number:03d}" for number in range(1, count + 1))
    if metadata.image_files is None:
        return numbered
    folders = [PurePosixPath(file.replace("\\", "/")).parent.name for file in metadata.image_files]
    pairs = set(zip(metadata.labels.tolist(), folders, strict=True))
    names = dict(pairs)
    if not len(pairs) == len(names) == len(set(names.values())) == count or "" in folders:
        return numbered
    return tuple(names[label] for label in sorted(names)) if set(names) == set(range(count)) else numbered


def _copy(metadata: Hdf5Metadata, store: Path, stored: np.dtype[np.generic], display: Display) -> int:
    """Write the store; returns its bytes."""
    scale = metadata.scale if stored == np.uint8 else None
    size = int(np.prod(metadata.shape, dtype=np.int64)) * stored.itemsize

    def blocks() -> Iterator[np.ndarray]:
        for block in read_hdf5_blocks(metadata.path):
            yield block if scale is not None or metadata.scale is None else as_float32(block, metadata.scale)

    with (
        display.task(f"writing regions {store.name}", size),
        RegionWriter(
            store,
            metadata.shape,
            stored,
            scale,
            companions=metadata.companions,
            provenance=metadata.provenance,
        ) as writer,
    ):
        writer.extend(
            blocks(), metadata.labels, metadata.image_files, source=metadata.path, advance=display.advance
        )
    return size
