"""Decodes image files in several processes: RGB, one size, uint8.

* Colour: everything becomes RGB. Grey is repeated, palettes are looked up, Pillow converts CMYK and other
  colour spaces, 16-bit grey keeps its upper eight bits, transparency is put on white. 32-bit grey values
  have no fixed range and are refused.
* EXIF orientation is ignored, as by the field's own extractions: pixels are used as they are stored.
* Size: ``crop`` scales the shorter side to the backbone's size and cuts out the middle square (the
  preprocessing of SC-EGG and of ImageNet models, with the arithmetic of torchvision's ``Resize`` and
  ``CenterCrop``); ``whole`` squeezes the image into the square without cropping. The filter is the
  backbone's, bilinear or bicubic, antialiased.
* Of animated images the first frame is used.
"""

from __future__ import annotations

import signal
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zslbench.errors import MissingExtra, ZslbenchError

try:
    from PIL import Image, UnidentifiedImageError
except ImportError:
    raise MissingExtra(
        "decoding images needs Pillow, which is not installed: pip install 'zslbench[extract]'"
    ) from None

Resize = Literal["crop", "whole"]
EXIF = "ignored"
_PREFETCHED = 2
"""Batches that each process decodes ahead."""


class Unreadable(Exception):
    """A file is not an image or cannot be decoded."""


@dataclass(frozen=True)
class Decoder:
    """Reads image files as arrays."""

    size: int
    """Height and width, in pixels."""
    resize: Resize = "crop"
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    def read(self, path: Path) -> UInt8[np.ndarray, "3 size size"]:
        """The pixels of one file.

        Raises:
            Unreadable: says why.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about metadata, which is not read
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path) as opened:
                    opened.load()
                    image = as_rgb(opened)
                pixels = np.asarray(self._resized(image))
        except Unreadable:
            raise
        except FileNotFoundError:
            raise Unreadable("is missing") from None
        except UnidentifiedImageError:
            empty = path.stat().st_size == 0
            raise Unreadable("is empty" if empty else "is not an image that Pillow can read") from None
        except Exception as error:  # decoders may raise anything
            raise Unreadable(f"cannot be decoded ({type(error).__name__}: {error})") from None
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def _resized(self, image: Image.Image) -> Image.Image:
        how = Image.Resampling.BICUBIC if self.interpolation == "bicubic" else Image.Resampling.BILINEAR
        square = self.size, self.size
        if self.resize == "whole":
            return image if image.size == square else image.resize(square, how)
        width, height = image.size
        short, long = min(width, height), max(width, height)
        scaled = int(self.size * long / short)
        target = (self.size, scaled) if width <= height else (scaled, self.size)
        if image.size != target:
            image = image.resize(target, how)
        left, top = (round((side - self.size) / 2) for side in target)
        return image.crop((left, top, left + self.size, top + self.size))


def as_rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, without transparency.

    Raises:
        Unreadable: its values have no fixed range.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith("I;16"):
        deep: np.ndarray[Any, Any] = np.asarray(image)
        return Image.fromarray((deep >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise Unreadable(f"has values without a fixed range (mode {image.mode}); save it with 8 bits")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


class _Images(Dataset[tuple[Tensor, str]]):
    def __init__(self, paths: Sequence[Path], decoder: Decoder) -> None:
        self._paths, self._decoder = paths, decoder

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> tuple[Tensor, str]:
        try:
            return torch.from_numpy(self._decoder.read(self._paths[row])), ""
        except Unreadable as fault:
            size = self._decoder.size
            return torch.zeros((3, size, size), dtype=torch.uint8), str(fault)


def decoded_batches(
    paths: Sequence[Path], decoder: Decoder, *, size: int, workers: int, pin: bool = False
) -> Generator[tuple[UInt8[Tensor, "b 3 h w"], Sequence[str]], None, None]:
    """Pixels of every image in order, with a fault for each: empty, or why it cannot be read (pixels are 0).

    Args:
        size: images per batch.
        workers: processes that decode; 0: this one.
        pin: put pixels in pinned memory, from which a GPU copies asynchronously.

    Raises:
        ZslbenchError: a process ended, usually because there is too little shared memory.
    """
    workers = min(workers, -(-len(paths) // size))
    loader = DataLoader(
        _Images(paths, decoder),
        batch_size=size,
        num_workers=workers,
        prefetch_factor=_PREFETCHED if workers else None,
        pin_memory=pin,
        worker_init_fn=_leave_interrupts_to_the_parent,
    )
    try:
        yield from loader
    except RuntimeError as error:
        if "worker" not in str(error):
            raise
        raise ZslbenchError(
            f"a decoding process ended ({str(error).splitlines()[0]}): give the machine more shared memory "
            "(/dev/shm), or pass --workers 0; finished images are saved"
        ) from None


def _leave_interrupts_to_the_parent(_: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
