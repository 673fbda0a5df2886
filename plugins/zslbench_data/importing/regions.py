"""Imports region features in the HDF5 layout of DAZLE and SC-EGG into a region store of the data set."""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath

from zslbench.data import (
    LAYOUTS,
    PARTS,
    SPLITS_FILE,
    ImageLabels,
    RegionFile,
    dataset_folders,
    disagreements,
    features_widths,
    no_features,
    read_without_features,
    region_files,
    require_file,
    require_valid,
    transposition,
)
from zslbench.errors import DataError, MissingData, SettingsError
from zslbench.plugin import Dataset, OfficialSplit
from zslbench.store import checked_name, sha256_of
from zslbench_data.download.catalogue import catalogue
from zslbench_data.exporting.xlsa17 import write_splits
from zslbench_data.importing.records import (
    Imported,
    Target,
    import_key,
    is_done,
    stored_as,
    target,
    write_import,
)
from zslbench_data.progress import SILENT, Display, human
from zslbench_data.staging import locked, remove_abandoned, staged_folder

_AUTHORS_PREFIX = "feature_map_resnet_101_"


def import_regions(
    root: Path,
    path: Path,
    *,
    name: str | None = None,
    regions_name: str | None = None,
    dtype: str = "keep",
    layout: str | None = None,
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
        layout: of the maps; None: as the file says or the data set's features show.
        force: replace a store of this name.

    Raises:
        MissingData: no such file, or there is no such data set and the file does not describe one.
        DataError: the file is damaged or contradicts the data set: every fault with counts; or no space.
        SettingsError: the name cannot be used, or there is none.
    """
    require_file(path)
    to = target(root, name or _dataset_of(root, path))
    folder, prefix = to.folder, f"{to.folder.name.lower()}_"
    short = path.stem[len(prefix) :] if path.stem.lower().startswith(prefix) else ""
    store = checked_name(regions_name or short or path.stem, "--regions-name")
    kind = f"regions/{store}"
    commands, notes = [to.command("zslbench data check")], []
    with locked(folder):
        remove_abandoned(folder)
        file = RegionFile(path, layout, features_widths(folder))
        display.message(f"checking {path}")
        inputs = {"file": path.name, "sha256": sha256_of(path), "dtype": dtype}
        key = import_key(inputs | ({"layout": file.layout} if file.layout != LAYOUTS[0] else {}))
        if is_done(folder, kind, key, force=force):
            return Imported(to, f"{kind} is already there", commands)
        if (folder / kind).exists() and not force:
            advice = "Choose another --regions-name, or pass --force to replace it"
            fault = "already exists, made from another file or with another --dtype"
            raise DataError(folder / kind, [fault], advice)
        new = None if (folder / SPLITS_FILE).is_file() else _dataset_in(file, to)
        if new is None:  # labels are the file's own if no file of the folder has any
            images = ImageLabels(file.labels, file.path.name, file.image_files)
            dataset = read_without_features(folder) or read_without_features(folder, images)
            labels_file = f"the files of {folder.name}"
            if dataset and (found := disagreements(file, dataset, dataset.semantics, labels_file)):
                raise DataError(file.path, [finding.what for finding in found], "Nothing was imported")
        stored = stored_as(file.dtype, dtype)
        with staged_folder(folder) as staging:
            size = math.prod(file.shape) * stored.itemsize
            with display.task(f"writing regions {store}", size):
                file.copy(staging / kind, stored, display.advance)
            origins = {kind: {"archive": path.name}}
            if new is not None:
                original_att = file.companions.get("original_att")
                write_splits(staging / SPLITS_FILE, new, original_att=original_att, image_files=True)
                origins[SPLITS_FILE] = {"archive": path.name}
            write_import(folder, staging, kind, key, origins)
    if others := [str(other) for other in region_files(folder) if other != folder / kind]:
        commands.append(to.command("zslbench run METHOD --dataset", "--regions", store))
        choice = f"--regions {store} selects this one"
        notes.append(f"{', '.join(others)} exists too: {choice}, or move the other away")
    shape = " x ".join(map(str, file.shape))
    text = f"{kind}: {shape} {stored.name}, {human(size)}"
    return Imported(to, text, commands, notes)


def _dataset_of(root: Path, path: Path) -> str:
    """The data set that a file is named after: ``<DS>_net.hdf5`` or ``feature_map_ResNet_101_<DS>.hdf5``.

    Raises:
        SettingsError: there is none.
    """
    stem = path.stem.lower().removeprefix(_AUTHORS_PREFIX)
    known = {key: entry.folder for key, entry in catalogue().datasets.items()}
    known |= {key: key for key in dataset_folders(root)}
    for key in sorted(known, key=len, reverse=True):
        if stem == key or stem.startswith(f"{key}_"):
            return known[key]
    raise SettingsError(f"{path.name} is not named after a data set under {root}: pass --name")


def _dataset_in(file: RegionFile, to: Target) -> Dataset:
    """The data set that a region file describes by itself."""
    entry = catalogue().datasets.get(to.key)
    if entry is not None or not {"att", "trainval", "test_unseen"} <= file.companions.keys():
        how = f"zslbench data get {entry.name}" if entry else "Import or write its att_splits.mat first"
        raise MissingData(to.folder, [f"{SPLITS_FILE} is missing"], f"{how}, then import again")
    att, vectors = file.companions["att"], file.companions.get("attribute_vectors")
    known = {} if vectors is None else {"w2v_att": len(vectors)}
    if fault := transposition("att", att, {"labels": int(file.labels.max()) + 1}, known):
        raise DataError(file.path, [str(fault)], "Exchange its axes; nothing was imported")
    dataset = Dataset(
        name=to.folder.name,
        features=no_features(file.shape[0]),
        labels=file.labels,
        class_names=_class_names(file, len(att)),
        semantics=att,
        split=OfficialSplit(*(file.companions.get(part, file.labels[:0]) for part in PARTS)),
        features_name="none",
        semantics_name="att",
        image_files=file.image_files,
    )
    require_valid(dataset, file.path, "Nothing was imported")
    return dataset


def _class_names(file: RegionFile, count: int) -> tuple[str, ...]:
    """The images' folders if each class has its own, else numbers."""
    if file.image_files is not None:
        folders = [PurePosixPath(name.replace("\\", "/")).parent.name for name in file.image_files]
        pairs = sorted(set(zip(file.labels.tolist(), folders, strict=True)))
        names = [name for _, name in pairs]
        if [label for label, _ in pairs] == list(range(count)) and len({"", *names}) == count + 1:
            return tuple(names)
    return tuple(f"class_{number:03d}" for number in range(1, count + 1))
