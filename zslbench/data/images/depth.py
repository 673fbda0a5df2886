"""Pictures of more than 8 bits per value: finds the range that their values use, and scales it to 0..255.

A 16-bit file may hold values of 8, 10, 12 or 16 bits. In this order:

1. What the user says, except for PGM and JPEG 2000, which Pillow scales by the maximum that they state.
2. What the file says: PNG's ``sBIT``, TIFF's ``BitsPerSample`` and ``MaxSampleValue``. Many programs write
   the largest value of the picture into the latter, so it must be the largest of some number of bits.
3. 16-bit values of 2**15 and more can only be of the full range.

Anything else is refused, since the same values are a dark picture in one range and a bright one in another.
"""

from __future__ import annotations

import math
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

ValueRange: TypeAlias = "tuple[float, float]"

_FULL = (0.0, 65535.0)
_GREY = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_WITH_ALPHA = ("RGBA", "RGBa", "LA")
_DEEP_COLOUR = re.compile(r"(RGB|RGBA|RGBX|RGBa|LA|CMYK);16([BLN])")
"""Pillow's names of 16 bits per channel, of which it keeps the upper eight."""
_BITS, _WHITE_IS_ZERO, _LEAST, _MOST = 258, 262, (340, 280), (341, 281)
"""TIFF tags."""
_PIECE = 1 << 20
"""Number of values that are converted at a time."""


class Unreadable(Exception):
    """A file is not an image or cannot be decoded."""


def eight_bits(image: Image.Image, given: ValueRange | None = None, path: Path | None = None) -> Image.Image:
    """The picture with 8 bits per channel, a transparent colour made white; itself if it has 8 already.

    Args:
        image: opened and not yet loaded, if it is a file's.
        given: black and white; None: as the file says.
        path: the file.

    Raises:
        Unreadable: the range of its values is unknown, or values lie outside.
    """
    colour = _DEEP_COLOUR.fullmatch(_raw_mode(image))
    if colour is None and image.mode not in _GREY:
        if max(tag(image, _BITS, (8,))) > 8:
            raise Unreadable(
                "has more than 8 bits per channel in a form that cannot be read; save it with 8 bits"
            )
        return image
    bits = _png_bits(image)
    values, partly = (np.asarray(image), False) if colour is None else _colours(image, path, colour)
    seen = values[..., :-1] if image.mode in _WITH_ALPHA else values
    chosen = _range(image, seen, given, bits, partly)
    found = _scaled(seen, chosen)
    if tag(image, _WHITE_IS_ZERO, (1,))[0] == 0:
        found = 255 - found
    if (clear := image.info.get("transparency")) is not None:
        same = seen == np.array(clear)
        found[same if colour is None else same.all(axis=-1)] = 255
    if colour is None:
        return Image.fromarray(found)
    if seen is not values:
        alpha = values[..., -1:]
        found = np.concatenate([found, _scaled(alpha, _FULL if alpha.max() > chosen[1] else chosen)], axis=-1)
    return Image.frombytes(image.mode, image.size, found.tobytes())


def _raw_mode(image: Image.Image) -> str:
    """Pillow's name for the form of the file's values; empty: the image has no file, or is loaded."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _colours(image: Image.Image, path: Path | None, raw: re.Match[str]) -> tuple[np.ndarray, bool]:
    """Values of 16 bits, and whether only the upper eight are known: Pillow gives one byte of each value.

    The other byte comes from reading the file as if its byte order were the opposite one.
    """
    page, upper = image.tell(), np.asarray(image).astype(np.int32) << 8
    opposite = "L" if raw[2] == "B" or (raw[2] == "N" and sys.byteorder == "big") else "B"
    try:
        if path is None:
            raise ValueError
        with Image.open(path) as again:
            again.seek(page)
            tiles: Any = again
            name = f"{raw[1]};16{opposite}"
            tiles.tile = [
                (*tile[:3], (name, *tile[3][1:]) if isinstance(tile[3], tuple) else name)
                for tile in tiles.tile
            ]
            return upper + np.asarray(again), False
    except ValueError:  # Pillow supports some forms in one byte order only
        return upper, True


def _range(
    image: Image.Image, values: np.ndarray, given: ValueRange | None, bits: int, partly: bool
) -> ValueRange:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Unreadable("has values that are NaN or infinite")
    least, most = float(values.min()), float(values.max())
    scaled = image.format in ("PPM", "JPEG2000") and not partly  # by Pillow, to 16 bits
    chosen = _FULL if scaled else given
    if chosen is None and not partly:
        chosen = _stated(image, values, bits)
    if chosen is None and (image.mode not in ("I", "F") or image.format == "PNG") and most >= 2**15:
        chosen = _FULL
    if partly and chosen != _FULL:
        raise Unreadable(
            "has 16 bits per channel with transparency, of which 8 can be read; save it with 8 bits"
        )
    shown = f"from {least:g} to {most:g} (mode {image.mode})"
    if chosen is None:
        raise Unreadable(f"has values {shown} and does not say which are black and white: {_how(values)}")
    if least < chosen[0] or most > chosen[1]:
        raise Unreadable(f"has values {shown}, outside the range from {chosen[0]:g} to {chosen[1]:g}")
    return chosen


def _how(values: np.ndarray) -> str:
    most = float(values.max())
    likely = 1 if values.dtype.kind == "f" and most <= 1 else 2 ** max(8, int(most).bit_length()) - 1
    return f"pass --value-range LOW HIGH, such as 0 {likely}, or save it with 8 bits"


def _stated(image: Image.Image, values: np.ndarray, png_bits: int) -> ValueRange | None:
    """The range that the file states; Unreadable: it may be only that of the picture's own values."""
    if png_bits:
        return _significant(values, png_bits)
    most = tag(image, _MOST[0], ()) or tag(image, _MOST[1], ())
    least = tag(image, _LEAST[0], ()) or tag(image, _LEAST[1], (0,))
    if most:
        low, high = float(min(least)), float(max(most))
        exponent = math.log2(high + 1) if high > 0 else 0
        if low == 0 and (high == 1 if values.dtype.kind == "f" else exponent in range(8, 33)):
            return low, high
        stated = f"states a range from {low:g} to {high:g}, perhaps only that of its values"
        raise Unreadable(f"{stated}: {_how(values)}")
    bits = max(tag(image, _BITS, (16,)))
    return None if bits >= 16 else (0.0, 2.0**bits - 1)


def _significant(values: np.ndarray, bits: int) -> ValueRange:
    """The range of values of which ``bits`` are significant.

    PNG asks for them to be scaled to 16 bits, and many programs leave them as they were.
    """
    own, shift = 2.0**bits - 1, 16 - bits
    if values.max() > own:
        return _FULL
    padded = all(np.array_equal(some >> shift << shift, some) for _, some in _pieces(values))
    scaled = padded or all(
        np.array_equal(np.rint((some >> shift) * (65535 / own)), some) for _, some in _pieces(values)
    )
    return _FULL if scaled else (0.0, own)


def _scaled(values: np.ndarray, chosen: ValueRange) -> np.ndarray:
    """uint8: integers of 256 levels and more keep their upper eight bits, as Pillow does."""
    low, high = chosen
    found = np.empty(values.shape, np.uint8)
    for start, some in _pieces(values):
        if values.dtype.kind in "iu" and high - low >= 255:
            piece = (some.astype(np.int64) - int(low)) * 256 // (int(high - low) + 1)
        else:
            piece = np.rint((some.astype(np.float64) - low) * (255 / (high - low)))
        found[start : start + len(some)] = piece
    return found


def _pieces(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of rows and the number of each first row, so that large pictures need little extra memory."""
    rows = max(1, _PIECE * len(values) // values.size)
    yield from ((start, values[start : start + rows]) for start in range(0, len(values), rows))


def _png_bits(image: Image.Image) -> int:
    """The largest number of significant bits in a PNG file's chunk ``sBIT``; 0: it has none."""
    file: Any = getattr(image, "fp", None) if image.format == "PNG" else None
    if file is None:
        return 0
    place = file.tell()
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
            size = struct.unpack(">I", head[:4])[0]
            if head[4:] == b"sBIT":
                return max(file.read(min(size, 3)), default=0)
            file.seek(size + 4, 1)
        return 0
    finally:
        file.seek(place)


def tag(image: Image.Image, number: int, default: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values of a TIFF file's tag."""
    found = getattr(image, "tag_v2", {}).get(number, default)
    return found if isinstance(found, tuple) else (found,)
