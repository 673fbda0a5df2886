"""``zslbench data extract``: region features and their means from images."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import options_of
from zslbench.errors import SettingsError

if TYPE_CHECKING:
    from zslbench.plugin import FeatureExtractor

_OFFLINE = "HF_HUB_OFFLINE"
"""Keeps the libraries of backbones from using the network."""


@click.command()
@click.argument("dataset")
@click.option(
    "--backbone", default="resnet101", show_default=True, help="Extractor; zslbench plugins lists them."
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="extractor.NAME=VALUE",
    help="Override a setting, e.g. extractor.model=facebook/dinov2-base; repeatable.",
)
@click.option("--name", help="Name of the store and the features file.  [default: the backbone's]")
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    default="float16",
    show_default=True,
    help="Data type of the stored regions; means over regions are float32.",
)
@click.option(
    "--resize",
    type=click.Choice(["crop", "whole"]),
    default="crop",
    show_default=True,
    help="crop: resize the shorter side, take the centre square; whole: resize to a square, no crop.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "mixed"]),
    default="auto",
    show_default=True,
    help="mixed: half precision where autocast allows it, GPU only; auto: mixed on a GPU, float32 on a CPU.",
)
@click.option("--batch", type=click.IntRange(min=1), help="Batch size.  [default: 64 on a GPU, 8 on a CPU]")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Decoding processes.  [default: one per core up to 16 on a GPU, one on a CPU]",
)
@options_of("device", "threads", "data_root")
@click.option("--offline", is_flag=True, help="Do not download weights.")
@click.option("--restart", is_flag=True, help="Discard an unfinished extraction.")
def extract(
    dataset: str,
    backbone: str,
    assignments: tuple[str, ...],
    device: str,
    threads: int | None,
    offline: bool,
    data_root: Path | None,
    **options: Any,
) -> None:
    """Run a backbone over the images of DATASET.

    Writes region features to <data root>/<DS>/regions/NAME and their means to <data root>/<DS>/NAME.mat, for
    --regions NAME and --features NAME. If it is interrupted, the same command resumes it.
    """
    from zslbench.data import HOW_TO_CHOOSE, IMAGES, data_root as choose_root, require_folder
    from zslbench.experiment import choose_mode
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.presence import how_to_get, how_to_get_part
    from zslbench_data.extraction import ExtractionOptions, extract as run
    from zslbench_data.progress import ImageDisplay, human

    entry = catalogue().datasets.get(dataset.lower())
    advice = how_to_get(entry.name) if entry else HOW_TO_CHOOSE
    folder = require_folder(choose_root(data_root), entry.folder if entry else dataset, dataset, advice)
    advice = how_to_get_part(entry, "images") if entry else f"Put them into {folder / IMAGES}"
    mode = choose_mode(device, threads)
    with _offline(offline):
        extractor = _extractor(backbone, assignments)
        requested = ExtractionOptions(backbone=backbone, **options)
        done = run(folder, extractor, requested, mode, display=ImageDisplay(), advice=advice)
    images, regions, channels = done.store.shape
    size = human(images * regions * channels * done.store.dtype.itemsize)
    how = f"{done.computed:,} computed in {done.seconds:.0f} s" if done.computed else "already extracted"
    click.echo(f"{dataset} regions {done.store.name}: {images:,} x {regions} x {channels}, {size}; {how}")
    click.echo(f"{dataset} features {done.features.stem}: {images:,} x {channels}, means over regions")


def _extractor(backbone: str, assignments: tuple[str, ...]) -> FeatureExtractor:
    from zslbench.plugin import build, load_class, parse_assignment, registry, settings_model

    registered = registry().component("extractor", backbone)
    values = {}
    for text in assignments:
        key, value = parse_assignment(text)
        kind, _, name = key.partition(".")
        if kind != "extractor":
            raise SettingsError(f"--set {text}: not a setting of the extractor; write extractor.{name}=...")
        values[name] = value
    settings = build(settings_model(registered), values, f"extractor '{registered.name}'")
    made: FeatureExtractor = load_class(registered)(settings)
    return made


@contextlib.contextmanager
def _offline(requested: bool) -> Iterator[None]:
    before = os.environ.get(_OFFLINE)
    if requested:
        os.environ[_OFFLINE] = "1"
    try:
        yield
    finally:
        os.environ.pop(_OFFLINE, None)
        if before is not None:
            os.environ[_OFFLINE] = before
