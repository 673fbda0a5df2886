"""A picture's file to pixels: RGB, one size, uint8.

* Colour: everything becomes RGB. Grey is repeated, palettes are looked up, CMYK and other colour spaces are
  converted by Pillow, 16-bit grey keeps its upper eight bits; what is transparent lies on white. Grey values
  of 32 bits have no fixed range and are refused.
* EXIF orientation is ignored, as the field's own extractions do: pixels are taken as they are stored.
* Size: ``crop`` scales the shorter side to the backbone's size and cuts the middle square out of the longer
  one (the preprocessing of SC-EGG and of the ImageNet models, arithmetic as in torchvision's ``Resize`` and
  ``CenterCrop``); ``whole`` squeezes the picture into the square and loses no margin. The filter is the
  backbone's, bilinear or bicubic, antialiased.
* Of moving pictures the first frame is taken.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from zslbench.errors import MissingExtra

try:
    from PIL import Image, UnidentifiedImageError
except ImportError:
    raise MissingExtra(
        "decoding pictures needs Pillow, which is not installed: pip install 'zslbench[extract]'"
    ) from None

Resize = Literal["crop", "whole"]
EXIF = "ignored"
_DEEP = ("I", "F")


class Unreadable(Exception):
    """A file that is no picture, or cannot be decoded; says why in a few words."""


@dataclass(frozen=True)
class Pixels:
    """How pictures become arrays."""

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
                pixels = np.asarray(self._sized(image))
        except Unreadable:
            raise
        except FileNotFoundError:
            raise Unreadable("is gone") from None
        except UnidentifiedImageError:
            empty = path.stat().st_size == 0
            raise Unreadable("is empty" if empty else "is no picture that Pillow knows") from None
        except Exception as error:  # decoders raise whatever they stumble over
            raise Unreadable(f"cannot be decoded ({type(error).__name__}: {error})") from None
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def _sized(self, image: Image.Image) -> Image.Image:
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
    """The picture in RGB, without transparency.

    Raises:
        Unreadable: its values have no fixed range.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.mode.startswith("I;16"):
        deep: np.ndarray[Any, Any] = np.asarray(image)
        return Image.fromarray((deep >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in _DEEP:
        raise Unreadable(f"has values without a fixed range (mode {image.mode}); save it with 8 bits")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
