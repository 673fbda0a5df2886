"""Which files of a data set exist, which are missing, and the commands that get them."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Collection
from pathlib import Path

from zslbench.data import (
    ATTRIBUTE_NAMES,
    ATTRIBUTE_VECTORS,
    HOW_TO_CHOOSE,
    IMAGES,
    SPLITS_FILE,
    dataset_key,
    features_files,
    find_folder,
    sidecar,
)
from zslbench.errors import DataError
from zslbench_data.download.catalogue import CatalogueEntry, catalogue
from zslbench_data.progress import human

SENTENCES_FILE = "sent_splits.mat"
_RATE = 10_000_000
"""Bytes per second of the connection that download times are estimated for."""


class Presence:
    """The files of one data set, in its folder below ``root`` and in the shared folders next to it."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = dataset_key(name)
        self.entry = entry = catalogue().datasets.get(self.name)
        self.folder = folder = find_folder(root, name) or root / (entry.folder if entry else name)
        self.splits = (folder / SPLITS_FILE).is_file()
        self.sentences = (folder / SENTENCES_FILE).is_file()
        self.features = features_files(folder)
        self.regions = _regions(folder)
        self.names = sidecar(folder, ATTRIBUTE_NAMES)
        vectors = sidecar(folder, ATTRIBUTE_VECTORS)
        # A region file counts if only that has them.
        self.vectors = vectors or next((one for one in self.regions if _has_vectors(one)), None)
        self.images = (folder / IMAGES).is_dir()

    @property
    def found(self) -> list[str]:
        """What is on the disk, for people."""
        regions = [f"regions {one.name}" for one in self.regions]
        others = ("names", "vectors", "sentences", "images")
        splits = ["splits"] if self.splits else []
        return [*splits, *self.features, *regions, *(one for one in others if getattr(self, one))]

    @property
    def missing(self) -> list[str]:
        """What is not on the disk but exists for this data set."""
        kinds = ("splits", "features", "names", "vectors", "regions", "images")
        never = self.entry.never if self.entry else ()
        return [one for one in kinds if not getattr(self, one) and one not in never]

    def lacks(self, inputs: str) -> list[str]:
        """What methods that read ``features``, ``regions`` or ``images`` need but is not on the disk."""
        needed: dict[str, object] = {"splits": self.splits}
        if inputs == "regions":
            needed |= {"region features": self.regions, "word vectors": self.vectors}
        elif inputs == "images":
            needed["images"] = self.images
        else:
            needed["features"] = self.features or self.regions  # means over regions serve too
        return [name for name, found in needed.items() if not found]

    def next_steps(self, missing: Collection[str]) -> list[str]:
        """The commands that get what is missing, with sizes and times, in the order in which it is needed.

        Args:
            missing: some of :attr:`missing`.
        """
        name, entry, steps = shlex.quote(self.name), self.entry, []
        if entry and ("splits" in missing or "features" in missing):
            steps.append(how_to_get_part(entry, "splits"))
        if entry and "names" in missing:
            steps.append(how_to_get_part(entry, "names"))
        if "vectors" in missing:
            archive = catalogue().vectors["glove"].archive
            command = f"zslbench data get vectors --dataset {name}"
            steps.append(f"{command} ({archive.file}, {human(archive.size)})")
        if "regions" in missing:
            if entry and not self.images:
                steps.append(how_to_get_part(entry, "images"))
            if entry and (self.images or entry.part("images")):
                size = f"writes {human(region_bytes(entry))} in float16; under an hour on a GPU"
                steps.append(f"zslbench data extract {name} --backbone resnet101 ({size})")
            else:
                folder = self.folder.absolute()
                steps.append(f"put a region store or an HDF5 file with 'feature_map' into {folder}")
        return steps


def _regions(folder: Path) -> list[Path]:
    """Region stores and files; their reader is imported only if a file could be one."""
    shared = [parent / "region_features" for parent in folder.absolute().parents[:2]]
    folders = [folder, folder / "regions", *shared]
    with contextlib.suppress(OSError):
        entries = [one for parent in folders for one in parent.glob("*")]
        if any(one.suffix.lower() in (".hdf5", ".h5") or (one / "store.json").is_file() for one in entries):
            from zslbench.data import region_files

            return region_files(folder)
    return []


def _has_vectors(path: Path) -> bool:
    if path.is_dir():
        return (path / "attribute_vectors.npy").is_file()
    from zslbench.data import open_examined

    try:
        with open_examined(path) as file:
            return "w2v_att" in file
    except (DataError, OSError, RuntimeError):
        return False


def how_to_get(name: str) -> str:
    """The command that downloads a data set of the catalogue, with sizes and time."""
    entry = catalogue().entry(name)
    archives = _archives(entry, "splits", "names")
    return f"Download it with: zslbench data get {entry.name} ({archives}); {HOW_TO_CHOOSE}"


def how_to_get_part(entry: CatalogueEntry, what: str) -> str:
    """The command that downloads one part of a data set, or what to do by hand."""
    if entry.part(what) is None:
        advice = entry.by_hand.get(what, "none exist")
        return f"{what}: {advice.format(folder=f'<data root>/{entry.folder}/images')}"
    option = "--images" if what == "images" else f"--what {what}"
    return f"zslbench data get {entry.name} {option} ({_archives(entry, what)})"


def how_to_get_region_features(name: str, root: Path) -> str:
    """The commands that are still needed for region features of a data set of the catalogue."""
    found = Presence(root, name)
    splits = ["splits"] if not found.splits or "res101" not in found.features else []
    steps = found.next_steps([*splits, "regions"])
    if len(steps) > 1:
        steps = [f"({number}) {one}" for number, one in enumerate(steps, 1)]
    return "To get them: " + "; ".join(steps)


def region_bytes(entry: CatalogueEntry, width: int = 2) -> int:
    """Bytes of 14 x 14 regions of 2048 channels for every image, ``width`` bytes per number."""
    return entry.counts["images"] * 14 * 14 * 2048 * width


def _archives(entry: CatalogueEntry, *names: str) -> str:
    """``"xlsa17.zip, 919.9 MB: 2 minutes at 10.0 MB/s"``."""
    parts = [one for one in map(entry.part, names) if one is not None]
    archives = list(dict.fromkeys(one.archive for one in parts))
    files = ", ".join(f"{one.file}, {human(one.size)}" for one in archives)
    if any(one.size is None for one in archives):
        return files
    minutes = sum(one.size or 0 for one in archives) / _RATE / 60
    count = round(minutes)
    time = "under a minute" if minutes < 1 else f"{count} minute{'s' if count > 1 else ''}"
    return f"{files}: {time} at {human(_RATE)}/s"
