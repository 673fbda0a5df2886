"""What an extraction computes, as plain data: the store says so, and only the same is taken up again."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from zslbench import __version__
from zslbench.errors import MissingData, PluginError, SettingsError
from zslbench.plugin import FeatureExtractor
from zslbench_data.extraction.decode import EXIF, Pixels, Resize
from zslbench_data.extraction.images import Pictures

Precision = Literal["auto", "float32", "mixed"]
MIXED = "float16 where autocast allows, else float32"

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True)
class Wanted:
    """What a user asked for."""

    backbone: str
    """Name of the extractor."""
    name: str | None = None
    """Of the store and the features file; None: the backbone's."""
    dtype: Literal["float16", "float32"] = "float16"
    """What regions are stored in."""
    resize: Resize = "crop"
    precision: Precision = "auto"
    """auto: mixed on a GPU, float32 on a CPU."""
    batch: int | None = None
    """Pictures at a time; None: 64 on a GPU, 8 on a CPU."""
    workers: int | None = None
    """Processes that decode; None: up to 16 on a GPU, one on a CPU, none where there is only one core."""
    restart: bool = False
    """Whether what an interrupted extraction left is dropped."""


def store_name(wanted: Wanted, extractor: FeatureExtractor) -> str:
    """What the store and the features file are called.

    Raises:
        SettingsError: it is no plain name.
    """
    chosen = wanted.name or str(extractor.describe().get("name") or wanted.backbone)
    if not _NAME.fullmatch(chosen):
        raise SettingsError(f"--name {chosen}: use letters, digits and '-_.+'")
    return chosen


def pixels_for(extractor: FeatureExtractor, wanted: Wanted) -> Pixels:
    """How this backbone's pictures are read."""
    size = extractor.image_size
    if not isinstance(size, int) or size < 1:
        raise PluginError(f"extractor '{wanted.backbone}': image_size is {size!r}, not a number of pixels")
    return Pixels(size, wanted.resize, extractor.interpolation)


def mixed_precision(wanted: Wanted, device: torch.device) -> bool:
    """Whether half precision is used where it may be.

    Raises:
        SettingsError: it was asked for on a CPU.
    """
    if wanted.precision == "mixed" and device.type != "cuda":
        raise SettingsError("--precision mixed: only a GPU has it; leave it out, or use float32")
    return device.type == "cuda" and wanted.precision != "float32"


def settings_of(
    extractor: FeatureExtractor, wanted: Wanted, pixels: Pixels, pictures: Pictures, device: torch.device
) -> dict[str, Any]:
    """Everything that the numbers depend on. Threads, batches and processes are left out: they change no more
    than the last bits.

    Raises:
        MissingData: a picture has gone.
        PluginError: what the extractor tells of itself is no plain data.
    """
    try:
        described = json.loads(json.dumps(dict(extractor.describe())))
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"extractor '{wanted.backbone}': describe() gives no plain data ({error})"
        ) from None
    return {
        **{key: value for key, value in described.items() if key not in ("name", "grid")},
        "image_size": pixels.size,
        "resize": pixels.resize,
        "interpolation": pixels.interpolation,
        "exif_orientation": EXIF,
        "precision": MIXED if mixed_precision(wanted, device) else "float32",
        "device": device.type,
        "dtype": wanted.dtype,
        "images": {
            "count": len(pictures.paths),
            "sha256": _images_sha256(pictures),
        },
        "versions": {
            "zslbench": __version__,
            "torch": torch.__version__,
            "pillow": importlib.metadata.version("pillow"),
        },
    }


def provenance_of(
    extractor: FeatureExtractor, wanted: Wanted, folder: str, pictures: Pictures, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What the store says of where its values come from."""
    described = extractor.describe()
    return {
        "source": f"pictures of {folder} as listed in {pictures.listed_in}",
        "backbone": str(described.get("name") or wanted.backbone),
        "grid": list(described["grid"]) if "grid" in described else None,
        "simulated": False,
        "finetuned": False,
        "settings": dict(settings),
    }


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Where two settings differ, ``"dtype: float16, float32"`` each."""
    return [
        f"{key}: {one.get(key)}, {other.get(key)}"
        for key in dict.fromkeys([*one, *other])
        if one.get(key) != other.get(key)
    ]


def _images_sha256(pictures: Pictures) -> str:
    """Of places, labels and sizes of files: another picture in the same place is told apart by its size."""
    digest = hashlib.sha256()
    for place, label, path in zip(pictures.places, pictures.labels.tolist(), pictures.paths, strict=True):
        try:
            size = path.stat().st_size
        except OSError as error:
            raise MissingData(path, [f"cannot be read ({error.strerror or error})"]) from None
        digest.update(json.dumps([place, label, size]).encode())
    return digest.hexdigest()
