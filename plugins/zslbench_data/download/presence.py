"""What of a data set lies under the data root, and what it lacks. Files are looked for and hardly read."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from zslbench.data import ATTRIBUTE_NAMES, ATTRIBUTE_VECTORS, IMAGES, SPLITS_FILE, find_folder, sidecar
from zslbench.errors import DataError
from zslbench_data.download.catalogue import Entry

SENTENCES_FILE = "sent_splits.mat"
_NO_FEATURES = {SPLITS_FILE, SENTENCES_FILE, "binaryAtt_splits.mat", "labels.mat"}


@dataclass(frozen=True)
class Presence:
    """The files of one data set."""

    folder: Path
    splits: bool = False
    sentences: bool = False
    features: tuple[str, ...] = ()
    """Stems of the files that ``--features`` may name."""
    regions: tuple[Path, ...] = ()
    names: Path | None = None
    vectors: Path | None = None
    """Word vectors of the attributes; those of a region file where only it has them."""
    images: bool = False

    @property
    def here(self) -> tuple[str, ...]:
        """What there is, for people."""
        found = [
            "splits" if self.splits else "",
            *self.features,
            *(f"regions {one.name}" for one in self.regions),
            "names" if self.names else "",
            "vectors" if self.vectors else "",
            "sentences" if self.sentences else "",
            "images" if self.images else "",
        ]
        return tuple(one for one in found if one)

    def missing(self, entry: Entry | None = None) -> tuple[str, ...]:
        """What there is not, of what there could be."""
        wanted = {
            "splits": self.splits,
            "features": self.features,
            "names": self.names,
            "vectors": self.vectors,
            "regions": self.regions,
            "images": self.images,
        }
        never = entry.never if entry else ()
        return tuple(name for name, there in wanted.items() if not there and name not in never)

    @property
    def global_features(self) -> bool:
        """Whether methods that read global features can run (means over regions serve too)."""
        return self.splits and bool(self.features or self.regions)

    @property
    def region_features(self) -> bool:
        """Whether methods that read region features and word vectors can run."""
        return self.splits and bool(self.regions) and self.vectors is not None

    @property
    def runs(self) -> str:
        """Which methods can run on it, for people."""
        if not self.global_features:
            return "none"
        return "all" if self.region_features else "those on global features"


def look(root: Path, folder_name: str) -> Presence:
    """What lies in and beside one data set's folder below ``root``; the folder need not exist."""
    folder = find_folder(root, folder_name) or root / folder_name
    regions = _regions(folder)
    vectors = sidecar(folder, ATTRIBUTE_VECTORS)
    return Presence(
        folder,
        splits=(folder / SPLITS_FILE).is_file(),
        sentences=(folder / SENTENCES_FILE).is_file(),
        features=_features(folder),
        regions=regions,
        names=sidecar(folder, ATTRIBUTE_NAMES),
        vectors=vectors or next((one for one in regions if _carries_vectors(one)), None),
        images=(folder / IMAGES).is_dir(),
    )


def _features(folder: Path) -> tuple[str, ...]:
    """Features files: MATLAB files with a variable ``features``."""
    candidates = [one for one in sorted(folder.glob("*.mat")) if one.name not in _NO_FEATURES]
    if not candidates:
        return ()
    from zslbench.data import mat_variables

    found = []
    for one in candidates:
        with contextlib.suppress(DataError):
            if "features" in mat_variables(one):
                found.append(one.stem)
    return tuple(found)


def _regions(folder: Path) -> tuple[Path, ...]:
    """Region stores and files. The reader of both is imported only where something could be one."""
    root = folder.parent
    places = [folder, folder / "regions", root / "region_features", root.parent / "region_features"]
    if not any(_may_hold_regions(one) for one in places):
        return ()
    from zslbench.data import region_files

    return tuple(region_files(folder))


def _may_hold_regions(place: Path) -> bool:
    with contextlib.suppress(OSError):
        for one in place.iterdir():
            if one.suffix.lower() in (".hdf5", ".h5") or (one / "store.json").is_file():
                return True
    return False


def _carries_vectors(path: Path) -> bool:
    if path.is_dir():
        return (path / "attribute_vectors.npy").is_file()
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "w2v_att" in file
    except OSError:
        return False
