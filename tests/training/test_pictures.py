"""Crops and flips: torch's own antialiased interpolation, exact pixels, and boxes within the picture."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, strategies as st
from torch.nn.functional import interpolate

from zslbench.training import (
    as_floats,
    center_crop,
    random_crop,
    random_flip,
    random_resized_crop,
    resized_crop,
)
from zslbench.training.pictures import _placed

PICTURES = torch.randint(
    0, 256, (4, 3, 30, 41), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


@given(
    st.integers(0, 29).flatmap(lambda top: st.tuples(st.just(top), st.integers(1, 30 - top))),
    st.integers(0, 40).flatmap(lambda left: st.tuples(st.just(left), st.integers(1, 41 - left))),
    st.integers(1, 50),
)
def test_a_box_is_scaled_as_by_interpolate(
    rows: tuple[int, int], columns: tuple[int, int], size: int
) -> None:
    """Smaller, larger, and narrower in one direction than in the other."""
    (top, height), (left, width) = rows, columns
    boxes = torch.tensor([[0, 0, 30, 41], [top, left, height, width]])
    found = resized_crop(PICTURES[:2], boxes, size)
    box = as_floats(PICTURES[1:2])[:, :, top : top + height, left : left + width]
    expected = interpolate(box, (size, size), mode="bilinear", antialias=True, align_corners=False)
    assert torch.allclose(found[1], expected[0], atol=1e-5)


def test_crops_that_are_not_scaled_keep_their_pixels() -> None:
    whole = PICTURES.float() / 255
    assert torch.equal(center_crop(PICTURES, 20), whole[:, :, 5:25, 10:30])  # round(10.5) is 10
    noise = torch.tensor([[0.0, 0.0], [0.999, 0.999], [0.5, 0.25], [0.1, 0.9]])
    found = random_crop(PICTURES, noise, 20)
    for row, (top, left) in enumerate([(0, 0), (10, 21), (5, 5), (1, 19)]):
        assert torch.equal(found[row], whole[row, :, top : top + 20, left : left + 20])


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1), st.floats(1, 2))
def test_boxes_have_the_area_and_ratio_asked_for(seed: int, least: float, stretch: float) -> None:
    """Where they fit: measured on pictures whose rows and columns tell where a crop was taken."""
    random = torch.Generator().manual_seed(seed)
    noise = torch.rand((6, 4), generator=random)
    ramp = torch.arange(64, dtype=torch.float32) / 63
    rows, columns = ramp[:, None].expand(64, 64), ramp.expand(64, 64)
    pictures = torch.stack([rows, columns, rows])[None].expand(6, 3, 64, 64)
    found = random_resized_crop(pictures, noise, 8, (least, 1.0), (1 / stretch, stretch))
    # A linear ramp stays linear inside, so its slope is the box's length.
    for axis, channel in ((2, 0), (1, 1)):
        inner = found[:, channel].mean(dim=axis)[:, 1:-1]
        length = (inner[:, -1] - inner[:, 0]) * 63 / 5 * 8
        area = 64 * 64 * (least + (1 - least) * noise[:, 0])
        ratio = torch.exp(math.log(stretch) * (2 * noise[:, 1] - 1))
        expected = torch.sqrt(area / ratio if channel == 0 else area * ratio).round().clamp(1, 64)
        wide = expected >= 8  # below, a value of the crop is narrower than a pixel
        assert torch.allclose(length[wide], expected[wide], rtol=0.02, atol=0.05)
    assert 0 <= float(found.min()) <= float(found.max()) <= 1 + 1e-6


def test_every_place_is_drawn() -> None:
    at = torch.rand((4000, 2), generator=torch.Generator().manual_seed(1))
    side = torch.full((4000,), 3.0)
    boxes = _placed(side, side, 5, 4, at)
    counts = torch.bincount(boxes[:, 0] * 2 + boxes[:, 1], minlength=6)
    assert len(counts) == 6
    assert int(counts.min()) > 550  # 667 expected


def test_half_of_the_pictures_are_mirrored() -> None:
    found = random_flip(PICTURES, torch.tensor([0.0, 0.49, 0.5, 0.9]))
    assert torch.equal(found[:2], PICTURES[:2].flip(3))
    assert torch.equal(found[2:], PICTURES[2:])
    assert found.dtype == torch.uint8


@pytest.mark.parametrize("size", [1, 7])
def test_values_are_between_zero_and_one(size: int) -> None:
    white = torch.full((1, 3, 9, 9), 255, dtype=torch.uint8)
    found = resized_crop(white, torch.tensor([[1, 2, 5, 4]]), size)
    assert torch.allclose(found, torch.ones(1, 3, size, size))
