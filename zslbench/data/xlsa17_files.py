"""Which files a data set in the xlsa17 format has, and what to do where one is missing."""

from __future__ import annotations

from pathlib import Path

from zslbench.data.locations import HOW_TO_CHOOSE, SPLITS_FILE
from zslbench.data.matfile import mat_variables
from zslbench.errors import DataError, MissingData, UnknownName
from zslbench.store.files import read_records

SEMANTICS_FILES = {"att": SPLITS_FILE, "original_att": SPLITS_FILE, "sentence": "sent_splits.mat"}
"""Class semantics by name, and the file each is in."""

HOW_TO_GET = (
    "Get it from the archive of Xian et al. (proposed split, version 2), "
    "http://datasets.d2.mpi-inf.mpg.de/xian/xlsa17.zip (FLO is in cvpr18xian.zip beside it), and unpack it; "
    f"{HOW_TO_CHOOSE}"
)


def features_stem(features: str) -> str:
    """The stem of a features file, given with or without ``.mat``."""
    stem = features.removesuffix(".mat")
    if not stem or Path(stem).name != stem:
        raise UnknownName(f"features '{features}': give the name of a .mat file in the data set's folder")
    return stem


def require(folder: Path, features: str | None, semantics_file: str) -> None:
    """Raise MissingData for every file of the data set that is not there; list the features that are.

    Args:
        features: stem of the features file; None: none is needed.
    """
    files = [] if features is None else [f"{features}.mat"]
    needed = dict.fromkeys([SPLITS_FILE, semantics_file, *files])
    absent = [one for one in needed if not (folder / one).is_file()]
    if not absent:
        return
    advice = HOW_TO_GET if absent != [f"{features}.mat"] or features == "res101" else ""
    if f"{features}.mat" in absent:
        others = features_files(folder)
        if others:
            advice = f"Found: {', '.join(others)}; pass --features {others[0]}. {advice}".rstrip()
    raise MissingData(folder, [f"{one} is missing" for one in absent], advice)


def features_files(folder: Path) -> list[str]:
    """Stems of the folder's readable .mat files that hold features."""
    found = []
    for path in sorted(folder.glob("*.mat")):
        try:
            if "features" in mat_variables(path):
                found.append(path.stem)
        except DataError:
            continue
    return found


def imported_features(folder: Path) -> str | None:
    """Stem of the features file that ``zslbench data import`` wrote for a custom set; None: there is none."""
    try:
        found = read_records(folder / "sources.json").get("imports", {}).get("custom", {}).get("features")
    except (DataError, AttributeError):  # a damaged record is told by ``zslbench data check``
        return None
    return found if isinstance(found, str) and (folder / f"{found}.mat").is_file() else None
