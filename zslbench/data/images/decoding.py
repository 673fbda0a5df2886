"""Decodes image files in several processes: RGB, one size, uint8.

* Colour: everything becomes RGB. Grey is repeated, palettes are looked up, Pillow converts CMYK and other
  colour spaces, transparency is put on white. Values of more than 8 bits are scaled by the range that the
  file states or they show, and refused if that is unknown (:mod:`zslbench.data.images.depth`). CMYK is
  refused where the file does not say what its inks are, or whether 0 is all ink or none.
* EXIF orientation is ignored, as by the field's own extractions: pixels are used as they are stored.
* Size: ``crop`` scales the shorter side to the backbone's size and cuts out the middle square (the
  preprocessing of SC-EGG and of ImageNet models, with the arithmetic of torchvision's ``Resize`` and
  ``CenterCrop``); ``whole`` squeezes the image into the square without cropping. The filter is the
  backbone's, bilinear or bicubic, antialiased.
* Of animated images the first frame is used. Of TIFF files with several pages, the only one that is
  not a thumbnail or a mask is used; if several are not, the file is refused unless ``first_page`` is set.
"""

from __future__ import annotations

import signal
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zslbench.errors import MissingExtra, ZslbenchError

try:
    import PIL
    from PIL import Image, UnidentifiedImageError
except ImportError:
    raise MissingExtra(
        "decoding images needs Pillow, which is not installed: pip install 'zslbench[extract]'"
    ) from None

from zslbench.data.images.depth import Unreadable as Unreadable, ValueRange, eight_bits, tag

Resize = Literal["crop", "whole"]
PILLOW = PIL.__version__
"""The version that decodes; pixels may depend on it."""
EXIF = "ignored"
_KIND, _INKS = 254, 332
"""TIFF tags: 1 is a smaller version of another page, 4 a mask; 1 is CMYK."""
_THINNEST = 100
"""Largest ratio of the sides of an image that is cropped."""
_MOST_PAGES = 16
"""Most pages of a file that are examined."""
_PREFETCHED = 2
"""Batches that each process decodes ahead."""


@dataclass(frozen=True)
class Decoder:
    """Reads image files as arrays."""

    size: int
    """Height and width, in pixels."""
    resize: Resize = "crop"
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    value_range: ValueRange | None = None
    """Black and white of values of more than 8 bits; None: as the file says; see :func:`eight_bits`."""
    first_page: bool = False
    """Whether to use the first page of TIFF files that have several."""

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
                    if opened.format == "TIFF" and not self.first_page:
                        _turn_to_the_page(opened)
                    _require_all_rows(opened)
                    image = as_rgb(eight_bits(opened, self.value_range, path))
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
        if long > _THINNEST * short:
            raise Unreadable(f"has {width} x {height} pixels, too thin to crop to a square")
        scaled = int(self.size * long / short)
        target = (self.size, scaled) if width <= height else (scaled, self.size)
        if image.size != target:
            image = image.resize(target, how)
        left, top = (round((side - self.size) / 2) for side in target)
        return image.crop((left, top, left + self.size, top + self.size))


def as_rgb(image: Image.Image) -> Image.Image:
    """An image of 8 bits in RGB, without transparency.

    Raises:
        Unreadable: its inks are unknown.
    """
    if image.mode == "CMYK":
        if image.format == "JPEG" and "adobe" not in image.info:
            raise Unreadable("is a CMYK JPEG that does not say whether 0 is all ink or none; save it as RGB")
        if tag(image, _INKS, (1,))[0] != 1:
            raise Unreadable("has inks other than cyan, magenta, yellow and black; save it as RGB")
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _turn_to_the_page(image: Image.Image) -> None:
    """Seek to the only page of a TIFF file that is neither a smaller version of another nor a mask."""
    pages = [
        page for page in range(_MOST_PAGES) if _has_page(image, page) and not tag(image, _KIND, (0,))[0] & 5
    ]
    if len(pages) > 1:
        raise Unreadable("has several pages: pass --first-page, or save only the right one")
    image.seek(pages[0] if pages else 0)


def _require_all_rows(image: Image.Image) -> None:
    """A TIFF file may claim more pixels than its strips hold; Pillow would make the missing ones black."""
    tiles = getattr(image, "tile", None) or []
    held = sum((right - left) * (below - top) for _, (left, top, right, below), *_ in tiles)
    if image.format == "TIFF" and tiles and held < image.width * image.height:
        raise Unreadable(f"is cut off: it claims {image.width} x {image.height} pixels but has {held}")


def _has_page(image: Image.Image, page: int) -> bool:
    try:
        image.seek(page)
    except EOFError:
        return False
    return True


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
