"""``zslbench data extract``: pictures to region features and pooled features."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import data_root_option
from zslbench.errors import MissingData, SettingsError

if TYPE_CHECKING:
    from zslbench.plugin import FeatureExtractor

_OFFLINE = "HF_HUB_OFFLINE"
"""What libraries of backbones look at before they ask the network."""


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
    help="Change a setting, as extractor.model=facebook/dinov2-base; repeatable.",
)
@click.option("--name", help="Of the store and the features file.  [default: the backbone's]")
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32"]),
    default="float16",
    show_default=True,
    help="What regions are stored in; means over regions are float32.",
)
@click.option(
    "--resize",
    type=click.Choice(["crop", "whole"]),
    default="crop",
    show_default=True,
    help="crop: shorter side to the backbone's size, middle square; whole: squeezed, nothing cut off.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "mixed"]),
    default="auto",
    show_default=True,
    help="mixed: half precision where autocast allows, on a GPU; auto: mixed there, float32 on a CPU.",
)
@click.option(
    "--batch", type=click.IntRange(min=1), help="Pictures at a time.  [default: 64 on a GPU, 8 on a CPU]"
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Processes that decode.  [default: one per core up to 16 on a GPU, one on a CPU]",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads (default: torch's).")
@click.option("--offline", is_flag=True, help="Ask no network for weights.")
@click.option("--restart", is_flag=True, help="Drop what an interrupted extraction left.")
@data_root_option
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
    """Run a backbone over the pictures of DATASET.

    Writes region features to <data root>/<DS>/regions/NAME and their means to <data root>/<DS>/NAME.mat, for
    --regions NAME and --features NAME. Stopped or killed, the same command goes on.
    """
    from zslbench.data import HOW_TO_CHOOSE, data_root as place, find_folder
    from zslbench.experiment import choose_mode
    from zslbench_data.cli.extract_display import ImageBar
    from zslbench_data.download.advice import how_to_get, step
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.display import human
    from zslbench_data.extraction import Wanted, extract as run

    wanted = Wanted(backbone=backbone, **options)
    root = place(data_root)
    entry = catalogue().datasets.get(dataset.lower())
    folder = find_folder(root, entry.folder if entry else dataset)
    if folder is None:
        advice = how_to_get(entry.name) if entry else HOW_TO_CHOOSE
        raise MissingData(
            f"data set '{dataset}'", [f"no folder {entry.folder if entry else dataset} in {root}"], advice
        )
    mode = choose_mode(device, threads)
    with _offline(offline):
        extractor = _extractor(backbone, assignments)
        made = run(
            folder,
            extractor,
            wanted,
            mode,
            display=ImageBar(),
            advice=step(entry, "images") if entry else f"Put them into {folder / 'images'}",
        )
    images, regions, channels = made.store.shape
    size = human(images * regions * channels * made.store.dtype.itemsize)
    how = "was there already" if not made.computed else f"{made.computed:,} computed in {made.seconds:.0f} s"
    click.echo(f"{dataset} regions {made.store.name}: {images:,} x {regions} x {channels}, {size}; {how}")
    click.echo(f"{dataset} features {made.features.stem}: {images:,} x {channels}, means over regions")


def _extractor(backbone: str, assignments: tuple[str, ...]) -> FeatureExtractor:
    from zslbench.plugin import build, load_class, parse_assignment, registry, settings_model

    registered = registry().component("extractor", backbone)
    values = {}
    for text in assignments:
        key, value = parse_assignment(text)
        kind, _, name = key.partition(".")
        if kind != "extractor":
            raise SettingsError(f"--set {text}: only settings of the extractor, as extractor.{name}=...")
        values[name] = value
    settings = build(settings_model(registered), values, f"extractor '{registered.name}'")
    made: FeatureExtractor = load_class(registered)(settings)
    return made


@contextlib.contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    before = os.environ.get(_OFFLINE)
    if wanted:
        os.environ[_OFFLINE] = "1"
    try:
        yield
    finally:
        if wanted:
            os.environ.pop(_OFFLINE)
            if before is not None:
                os.environ[_OFFLINE] = before
