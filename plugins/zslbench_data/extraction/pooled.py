"""Means over regions as a features file in the field's form, for methods that read global features."""

from __future__ import annotations

from pathlib import Path

from zslbench.data import RegionStore
from zslbench_data.exporting.xlsa17 import write_images
from zslbench_data.extraction.images import Pictures


def features_file(folder: Path, name: str) -> Path:
    """Where the features of this name lie."""
    return folder / f"{name}.mat"


def write_features(folder: Path, name: str, store: RegionStore, pictures: Pictures) -> Path:
    """``<folder>/<name>.mat`` with ``features``, ``labels`` and ``image_files``, where it is not there yet.

    Raises:
        DataError: the disk is full, or the folder cannot be written.
    """
    path = features_file(folder, name)
    if not path.exists():
        write_images(path, labels=store.labels, image_files=pictures.names, features=store.features)
    return path
