"""Crops and flips of pictures as pure functions of noise, which the core draws from a run's streams.

All take uint8 pictures (b, 3, h, w), or floats, and return floats in [0, 1]. Boxes and the scaling are those
of torchvision's transforms with antialiasing. A scaled crop is a product of the picture with one matrix for
its rows and one for its columns, which needs no loop over pictures.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor


def as_floats(images: Shaped[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Pictures with values in [0, 1]."""
    return images.to(torch.float32) / 255 if images.dtype == torch.uint8 else images


def center_crop(images: Shaped[Tensor, "b 3 h w"], size: int) -> Float[Tensor, "b 3 size size"]:
    """The middle square of each picture, not scaled, for evaluation."""
    top, left = (round((side - size) / 2) for side in images.shape[2:])
    return as_floats(images[:, :, top : top + size, left : left + size])


def random_crop(
    images: Shaped[Tensor, "b 3 h w"], noise: Float[Tensor, "b 2"], size: int
) -> Float[Tensor, "b 3 size size"]:
    """A square of each picture, not scaled, at a uniform place.

    Args:
        noise: uniform on [0, 1).
    """
    height, width = images.shape[2:]
    side = torch.full(noise.shape[:1], size, dtype=torch.float32, device=noise.device)
    return resized_crop(images, _placed(side, side, height, width, noise), size)


def random_resized_crop(
    images: Shaped[Tensor, "b 3 h w"],
    noise: Float[Tensor, "b 4"],
    size: int,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Float[Tensor, "b 3 size size"]:
    """A random box of each picture, scaled to a square (RandomResizedCrop).

    The box has a uniform share of the picture's area and a log-uniform ratio of width to height. torchvision
    draws up to ten boxes until one fits, here the only one drawn is cut where it is longer than the picture.

    Args:
        noise: uniform on [0, 1): area, ratio, and place from the top and from the left.
        scale: smallest and largest share of the area.
        ratio: smallest and largest ratio of width to height.
    """
    rows, columns = images.shape[2:]
    area = rows * columns * (scale[0] + (scale[1] - scale[0]) * noise[:, 0])
    low, high = map(math.log, ratio)
    stretch = torch.exp(low + (high - low) * noise[:, 1])
    height = torch.sqrt(area / stretch).round().clamp(1, rows)
    width = torch.sqrt(area * stretch).round().clamp(1, columns)
    return resized_crop(images, _placed(height, width, rows, columns, noise[:, 2:]), size)


def random_flip(images: Shaped[Tensor, "b 3 h w"], noise: Float[Tensor, " b"]) -> Shaped[Tensor, "b 3 h w"]:
    """Pictures mirrored left to right where the noise, uniform on [0, 1), is below one half."""
    return torch.where(noise[:, None, None, None] < 0.5, images.flip(-1), images)


def resized_crop(
    images: Shaped[Tensor, "b 3 h w"], boxes: Int[Tensor, "b 4"], size: int
) -> Float[Tensor, "b 3 size size"]:
    """A box of each picture, scaled to a square by bilinear interpolation, antialiased where it shrinks.

    Args:
        boxes: top, left, height and width in pixels, within the picture.
    """
    top, left, height, width = boxes.unbind(1)
    rows = _weights(top, height, images.shape[2], size)
    columns = _weights(left, width, images.shape[3], size)
    return torch.einsum("bip,bcpq,bjq->bcij", rows, as_floats(images), columns)


def _placed(height: Tensor, width: Tensor, rows: int, columns: int, at: Tensor) -> Int[Tensor, "b 4"]:
    """Boxes of these sizes at a uniform place."""
    top = torch.floor(at[:, 0] * (rows - height + 1))
    left = torch.floor(at[:, 1] * (columns - width + 1))
    return torch.stack([top, left, height, width], dim=1).to(torch.int64)


def _weights(start: Tensor, length: Tensor, pixels: int, size: int) -> Float[Tensor, "b size pixels"]:
    """What each pixel adds to each of ``size`` values that divide [start, start + length) evenly: a triangle
    around the value's middle, as wide as a pixel or, where the box shrinks, as the value."""
    step = (length / size)[:, None, None]
    middle = (torch.arange(size, device=start.device) + 0.5)[:, None] * step + start[:, None, None]
    pixel = torch.arange(pixels, device=start.device) + 0.5
    weights = (1 - (pixel - middle).abs() / step.clamp_min(1)).clamp_min(0)
    end = (start + length)[:, None, None]
    weights = torch.where((pixel > start[:, None, None]) & (pixel < end), weights, 0)
    return weights / weights.sum(dim=2, keepdim=True)
