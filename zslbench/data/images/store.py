"""Decoded pictures as a region store in which each pixel is a region: decoded once for each size, then read.

Digests, comparison with the data set and reading ahead are those of region features.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from zslbench.data.images.listing import ImageList, list_images
from zslbench.data.locations import IMAGES
from zslbench.data.regions.cache import cached_store
from zslbench.data.regions.store import RegionStore
from zslbench.data.regions.writer import RegionWriter
from zslbench.errors import DataError, MissingData

CHANNELS = 3
_VERSION, _BATCH, _FEW, _MOST_WORKERS = 1, 64, 512, 16


def decoded_pictures(folder: Path, size: int, root: str | Path | None = None) -> RegionStore:
    """The pictures of the data set in ``folder``, (images, size², 3) uint8, RGB, row by row.

    The shorter side is scaled to ``size`` and the middle square cut out, as in an extraction of features.

    Args:
        size: height and width in pixels.
        root: the folder that the pictures are in (``--images``); None: ``images`` in ``folder``.

    Raises:
        MissingData: there are no pictures, or listed ones are missing.
        DataError: pictures cannot be decoded; names each.
        MissingExtra: Pillow is not installed.
    """
    from zslbench.data.images.decoding import PILLOW

    root = Path(root).expanduser() if root else folder / IMAGES
    images = list_images(folder, "Put them there, or pass --images FOLDER", root)
    key = {"pictures": _VERSION, "size": size, "files": files_digest(images), "pillow": PILLOW}
    count = len(images.files)
    return cached_store(
        f"{folder.name}-{size}px",
        key,
        lambda target, advance: _decode(images, size, target, advance),
        task=f"decoding {count:,} images of {folder.name}",
        size=count * size * size * CHANNELS,
        known_as=root,
    )


def files_digest(images: ImageList, times: bool = True) -> str:
    """A digest of the images' paths, labels and sizes and, with ``times``, of their inodes and when they were
    last written or replaced, which a program that restores the time of writing cannot hide.

    Raises:
        MissingData: a file is missing.
    """
    digest = hashlib.sha256()
    for place, label, path in zip(images.files, images.labels.tolist(), images.paths, strict=True):
        try:
            state = path.stat()
        except OSError as error:
            raise MissingData(path, [f"cannot be read ({error.strerror or error})"]) from None
        written = [state.st_ino, state.st_mtime_ns, state.st_ctime_ns] if times else []
        digest.update(json.dumps([place, label, state.st_size, *written]).encode())
    return digest.hexdigest()


def _decode(images: ImageList, size: int, target: Path, advance: Callable[[int], None]) -> None:
    """Write the store; DataError lists all pictures that cannot be decoded."""
    from zslbench.data.images.decoding import EXIF, Decoder, decoded_batches

    paths, faults = images.paths, list[str]()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = 0 if len(paths) < _FEW else min(cores, _MOST_WORKERS)
    batches = decoded_batches(paths, Decoder(size), size=_BATCH, workers=workers)
    provenance = {
        "source": f"images as listed in {images.listed_in}",
        "grid": [size, size],
        "layout": "channels-last",
        "settings": {"image_size": size, "resize": "crop", "exif_orientation": EXIF},
    }
    shape = len(paths), size * size, CHANNELS
    with contextlib.closing(batches), RegionWriter(
        target, shape, np.uint8, 1.0, labels=images.labels, image_files=images.names, provenance=provenance
    ) as writer:  # fmt: skip
        remaining = iter(paths)
        for pixels, unreadable in batches:
            batch = zip(unreadable, remaining, strict=False)  # ends with the batch
            faults += [f"{path} {fault}" for fault, path in batch if fault]
            writer.append(pixels.permute(0, 2, 3, 1).reshape(len(pixels), -1, CHANNELS).numpy())
            advance(pixels.numel())
        if faults:
            text = f"{len(faults)} images cannot be decoded"
            raise DataError(images.folder, [text, *faults], "Replace them, and run the command again")
