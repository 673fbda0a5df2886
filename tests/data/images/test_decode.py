"""Images become RGB of one size, with torchvision's arithmetic; unreadable ones are reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zslbench.data.images.decoding import Decoder, Unreadable, as_rgb


def read(path: Path, size: int = 16, **how: Any) -> np.ndarray:
    return Decoder(size, **how).read(path)


def stripes(width: int, height: int) -> Image.Image:
    """An image whose columns (or rows, if it is high) have their number in red."""
    long = np.arange(max(width, height), dtype=np.uint8)
    plane = np.tile(long, (height, 1)) if width >= height else np.tile(long[:, None], (1, width))
    return Image.fromarray(np.stack([plane] * 3, axis=2))


@pytest.mark.parametrize(("width", "height"), [(16, 16), (30, 16), (16, 31), (19, 16), (21, 16)])
def test_crop_takes_the_middle(tmp_path: Path, width: int, height: int) -> None:
    """No scaling is needed here, so the values show which columns remain: from round((long - 16) / 2)."""
    stripes(width, height).save(tmp_path / "a.png")
    found = read(tmp_path / "a.png")
    assert found.shape == (3, 16, 16)
    assert found.dtype == np.uint8
    begin = round((max(width, height) - 16) / 2)
    along = found[0, 0] if width >= height else found[0, :, 0]
    assert along.tolist() == list(range(begin, begin + 16))


def test_short_side_is_scaled_and_the_long_one_in_proportion(tmp_path: Path) -> None:
    image = stripes(101, 32)
    image.save(tmp_path / "a.png")
    scaled = image.resize((int(16 * 101 / 32), 16), Image.Resampling.BILINEAR)  # 50 x 16
    expected = np.asarray(scaled)[:, 17:33].transpose(2, 0, 1)
    assert np.array_equal(read(tmp_path / "a.png"), expected)


def test_whole_keeps_the_margins(tmp_path: Path) -> None:
    stripes(160, 16).save(tmp_path / "a.png")
    row = read(tmp_path / "a.png", resize="whole")[0, 0].astype(int)
    assert row[0] < 10
    assert row[-1] > 149
    assert (np.diff(row) > 0).all()


def test_filters_differ(tmp_path: Path, make_image: Callable[..., Image.Image]) -> None:
    make_image(1).save(tmp_path / "a.png")
    assert not np.array_equal(read(tmp_path / "a.png"), read(tmp_path / "a.png", interpolation="bicubic"))


def test_every_colour_space_becomes_rgb() -> None:
    grey = Image.fromarray(np.full((4, 4), 77, np.uint8))
    assert set(np.asarray(as_rgb(grey)).ravel()) == {77}
    red = Image.new("RGB", (4, 4), (255, 0, 0))
    palette = red.convert("P", palette=Image.Palette.ADAPTIVE)
    assert palette.mode == "P"
    assert np.array_equal(np.asarray(as_rgb(palette)), np.asarray(red))
    cmyk = Image.new("CMYK", (4, 4), (0, 255, 255, 0))
    assert np.asarray(as_rgb(cmyk))[0, 0].tolist() == [255, 0, 0]
    assert np.asarray(as_rgb(Image.new("1", (4, 4), 1)))[0, 0].tolist() == [255, 255, 255]


def test_transparency_becomes_white(tmp_path: Path) -> None:
    for mode, colour in (("RGBA", (10, 20, 30, 0)), ("LA", (10, 0))):
        assert set(np.asarray(as_rgb(Image.new(mode, (4, 4), colour))).ravel()) == {255}
    half = np.asarray(as_rgb(Image.new("RGBA", (4, 4), (0, 0, 0, 128))))
    assert set(half.ravel()) <= {126, 127, 128}
    indexed = Image.new("P", (16, 16), 0)
    indexed.putpalette([200, 0, 0, 0, 200, 0])
    indexed.save(tmp_path / "a.png", transparency=0)
    assert set(read(tmp_path / "a.png").ravel()) == {255}


def test_orientation_is_ignored(tmp_path: Path, make_image: Callable[..., Image.Image]) -> None:
    image = make_image(2)
    image.save(tmp_path / "plain.jpg", quality=95)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "turned.jpg", quality=95, exif=exif)
    assert np.array_equal(read(tmp_path / "plain.jpg"), read(tmp_path / "turned.jpg"))


def test_animated_images_give_the_first_frame(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (16, 16), colour) for colour in ((255, 0, 0), (0, 0, 255)))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert read(tmp_path / "a.gif")[:, 3, 3].tolist() == [255, 0, 0]


def test_unreadable_images(tmp_path: Path, make_image: Callable[..., Image.Image]) -> None:
    path = tmp_path / "a.jpg"
    make_image(3).save(path)
    whole = path.read_bytes()
    for content, words in (
        (b"", "is empty"),
        (b"junk" * 9, "not an image"),
        (whole[:-90], "cannot be decoded"),
    ):
        path.write_bytes(content)
        with pytest.raises(Unreadable, match=words):
            read(path)
    with pytest.raises(Unreadable, match=r"is missing"):
        read(tmp_path / "nothing.jpg")


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(Unreadable, match=r"Bomb"):
        read(tmp_path / "a.png")
