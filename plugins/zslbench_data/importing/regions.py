"""Imports region features in the HDF5 layout of DAZLE and SC-EGG: a region store in the data set's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from zslbench.data import (
    PARTS,
    SPLITS_FILE,
    Described,
    Hdf5Metadata,
    RegionWriter,
    as_float32,
    dataset_faults,
    dataset_folders,
    disagreements,
    mat_variables,
    no_features,
    read_described,
    read_hdf5_blocks,
    read_hdf5_metadata,
    region_files,
)
from zslbench.errors import DataError, MissingData, SettingsError
from zslbench.plugin import Dataset, OfficialSplit
from zslbench.store import sha256_of
from zslbench_data.download.catalogue import catalogue
from zslbench_data.exporting.xlsa17 import write_splits
from zslbench_data.importing.arrays import stored_as
from zslbench_data.importing.place import Imported, alone, is_done, key_of, target, write_record
from zslbench_data.progress import Display, Silent, human
from zslbench_data.staging import staged_folder

_THEIRS = "feature_map_resnet_101_"


def import_regions(
    root: Path,
    path: Path,
    *,
    name: str | None = None,
    regions_name: str | None = None,
    dtype: str = "keep",
    force: bool = False,
    display: Display | None = None,
) -> Imported:
    """Copy a region file to ``<root>/<DS>/regions/<name>``; the same one again is found done.

    The file's images, classes, attributes and split must be those of the data set. Where there is no data set
    of this name, the file's own labels, attributes and split become one.

    Args:
        name: the data set; None: the one that the file is named after.
        regions_name: of the store; None: the file's name without its data set and ending.
        dtype: ``keep`` (uint8 keeps its scale), ``float16`` or ``float32``.
        force: replace a store of this name.

    Raises:
        MissingData: no such file, or the data set is not there and the file does not describe one.
        DataError: the file is damaged or contradicts the data set: every fault with counts; or no room.
        SettingsError: the name cannot be used, or none was given.
    """
    if not path.is_file():
        raise MissingData(path, ["no such file"])
    folder = target(root, name or dataset_of(root, path))
    store = regions_name or _short(path.stem, folder.name)
    what = f"regions/{target(folder, store).name}"
    shown = display or Silent()
    with alone(folder):
        facts = read_hdf5_metadata(path)
        shown.message(f"looking at {path}")
        key = key_of({"file": path.name, "sha256": sha256_of(path), "dtype": dtype})
        following: tuple[str, ...] = (f"zslbench data check {folder.name.lower()}",)
        if is_done(folder, what, key):
            return Imported(folder.name.lower(), folder, False, f"{what} is already there", (), following)
        if (folder / what).exists() and not force:
            raise DataError(
                folder / what,
                ["is there already, made from another file or with another --dtype"],
                "Choose another --regions-name, or pass --force to replace it",
            )
        new = None if (folder / SPLITS_FILE).is_file() else _own(folder, facts)
        if new is None:
            _agree(folder, facts)
        with staged_folder(folder) as aside:
            size = _copy(facts, aside / what, dtype, shown)
            origins = {what: {"archive": path.name}}
            if new is not None:
                write_splits(
                    aside / SPLITS_FILE,
                    att=new.semantics,
                    original_att=facts.companions.get("original_att"),
                    class_names=new.class_names,
                    labels=new.labels,
                    split=new.split,
                    image_files=facts.image_files,
                )
                origins[SPLITS_FILE] = {"archive": path.name}
            write_record(folder, aside, what, key, origins)
        others = [one for one in region_files(folder) if one != folder / what]
        notes = []
        if others:
            following = (*following, f"zslbench run METHOD --dataset {folder.name.lower()} --regions {store}")
            notes.append(
                f"{', '.join(str(one) for one in others)} is there too: --regions {store} chooses this one, "
                "or move the other away"
            )
        shape = " x ".join(map(str, facts.shape))
        text = f"{what}: {shape} {stored_as(facts.dtype, dtype).name}, {human(size)}"
        return Imported(folder.name.lower(), folder, True, text, tuple(notes), following)


def dataset_of(root: Path, path: Path) -> str:
    """The data set that a file is named after: ``<DS>_net.hdf5`` or ``feature_map_ResNet_101_<DS>.hdf5``.

    Raises:
        SettingsError: there is none.
    """
    stem = path.stem.lower()
    stem = stem.removeprefix(_THEIRS)
    known = {key: one.name for key, one in dataset_folders(root).items()}
    known = {key: one.folder for key, one in catalogue().datasets.items()} | known
    for key in sorted(known, key=len, reverse=True):
        if stem == key or stem.startswith(f"{key}_"):
            return known[key]
    raise SettingsError(f"{path.name} is named after no data set under {root}: pass --name")


def _short(stem: str, dataset: str) -> str:
    """``net`` of ``<DS>_net``, else the stem itself."""
    prefix = f"{dataset.lower()}_"
    return stem[len(prefix) :] if stem.lower().startswith(prefix) and len(stem) > len(prefix) else stem


def _agree(folder: Path, facts: Hdf5Metadata) -> None:
    """Raise DataError where the file is not of this data set's images, classes, attributes and split."""
    described = read_described(folder)
    if described is None:
        described = _with_labels(folder, facts)
    faults = dataset_faults(described.dataset(folder.name)) if described is not None else []
    if described is not None and not faults:
        dataset = described.dataset(folder.name)
        found = disagreements(facts, dataset, described.att, SPLITS_FILE, f"the files of {folder.name}")
        faults = [one.what for one in found]
    if faults:
        raise DataError(facts.path, faults, "Nothing was imported")


def _with_labels(folder: Path, facts: Hdf5Metadata) -> Described | None:
    """What the splits file says, with the labels of the region file: there are no others."""
    needed = {"att", *(f"{part}_loc" for part in PARTS)}
    if not needed <= set(mat_variables(folder / SPLITS_FILE)):
        return None
    return read_described(folder, facts.labels)


def _own(folder: Path, facts: Hdf5Metadata) -> Dataset:
    """The data set that a region file describes by itself."""
    missing = [one for one in ("att", *PARTS) if one not in facts.companions]
    entry = catalogue().datasets.get(folder.name.lower())
    if entry is not None or missing:
        how = f"zslbench data get {entry.name}" if entry else "Import or write its att_splits.mat first"
        raise MissingData(folder, [f"{SPLITS_FILE} is missing"], f"{how}, then import again")
    att = facts.companions["att"]
    rows = [facts.companions[part] for part in PARTS]
    dataset = Dataset(
        name=folder.name,
        features=no_features(facts.shape[0]),
        labels=facts.labels,
        class_names=_class_names(facts, len(att)),
        semantics=att,
        split=OfficialSplit(rows[0], rows[1], rows[2]),
        features_name="none",
        semantics_name="att",
        image_files=facts.image_files,
    )
    faults = dataset_faults(dataset)
    if faults:
        raise DataError(facts.path, faults, "Nothing was imported")
    return dataset


def _class_names(facts: Hdf5Metadata, count: int) -> tuple[str, ...]:
    """The folders of the images where each class has one of its own, else numbers."""
    numbered = tuple(f"class_{one:03d}" for one in range(1, count + 1))
    if facts.image_files is None:
        return numbered
    folders = [PurePosixPath(one.replace("\\", "/")).parent.name for one in facts.image_files]
    pairs = dict(zip(facts.labels.tolist(), folders, strict=True))
    named = all(pairs[label] == one for label, one in zip(facts.labels.tolist(), folders, strict=True))
    if not named or len(set(pairs.values())) != count or set(pairs) != set(range(count)) or "" in folders:
        return numbered
    return tuple(pairs[one] for one in range(count))


def _copy(facts: Hdf5Metadata, store: Path, dtype: str, display: Display) -> int:
    """Write the store; gives its bytes. Unusable values are counted through the whole file before they are
    told."""
    kind = stored_as(facts.dtype, dtype)
    scale = facts.scale if kind == np.uint8 else None
    images, regions, channels = facts.shape
    row = regions * channels * kind.itemsize
    files = facts.image_files
    bad: list[int] = []
    with _shown(display, store.name, images * row):
        writer = RegionWriter(
            store, facts.shape, kind, scale, companions=facts.companions, provenance=facts.provenance
        )
        with writer:
            start = 0
            for block in read_hdf5_blocks(facts.path):
                stop = start + len(block)
                values = block if scale is not None or facts.scale is None else as_float32(block, facts.scale)
                bad += (_unusable(values, kind) + start).tolist()
                if not bad:
                    writer.append(
                        values, facts.labels[start:stop], None if files is None else files[start:stop]
                    )
                start = stop
                display.advance(len(block) * row)
            if bad:
                limit = ", or too large for float16" if kind == np.float16 else ""
                raise DataError(
                    facts.path,
                    [f"{len(bad)} images have NaN or infinite regions{limit} (row {bad[0]})"],
                    "Nothing was imported",
                )
    return images * row


def _unusable(values: np.ndarray, kind: np.dtype[np.generic]) -> np.ndarray:
    """Which images have values that cannot be stored."""
    if values.dtype.kind != "f":
        return np.zeros(0, dtype=np.int64)
    most = np.finfo(np.float16).max if kind == np.float16 else np.finfo(np.float32).max
    flat = values.reshape(len(values), -1)
    return np.flatnonzero(~(np.abs(flat) <= most).all(axis=1))


@contextmanager
def _shown(display: Display, name: str, size: int) -> Iterator[None]:
    display.begin(f"writing regions {name}", size)
    try:
        yield
    finally:
        display.end()
