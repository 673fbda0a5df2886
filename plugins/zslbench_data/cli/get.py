"""``zslbench data get``: download splits, features, names, images and word vectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import data_root_option
from zslbench.errors import Interrupted, MissingData, SettingsError, ZslbenchError, did_you_mean

if TYPE_CHECKING:
    from zslbench_data.download.catalogue import CatalogueEntry

_VECTORS = "vectors"


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--what",
    default="splits,names",
    show_default=True,
    metavar="PART,...",
    help="Which parts: splits (with ResNet-101 features), names (of attributes), images.",
)
@click.option("--images", is_flag=True, help="Also get the images.")
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    help="URL to try first: a folder of archives, or one archive. Repeatable.",
)
@click.option("--offline", is_flag=True, help="Download nothing; use the archives in the data root.")
@click.option("--force", is_flag=True, help="Download and unpack again, replacing existing files.")
@click.option(
    "--keep-archives/--no-keep-archives",
    default=True,
    show_default=True,
    help="Whether to keep archives in <data root>/archives, to share them between data sets.",
)
@click.option(
    "--source",
    default="glove",
    show_default=True,
    metavar="glove|glove-840b|FILE",
    help="With vectors: GloVe, a word2vec or GloVe file (also .gz, .zip), or a precomputed .npy array.",
)
@click.option(
    "--dataset", "datasets", multiple=True, help="With vectors: only for this data set; repeatable."
)
@click.option(
    "--rule",
    type=click.Choice(["sum", "mean"]),
    help="With vectors: how multi-word names are combined.  [default: mean for GloVe, sum for files]",
)
@click.option("--allow-missing", is_flag=True, help="With vectors: use zeros if no word of a name is known.")
@data_root_option
def get(
    names: tuple[str, ...],
    what: str,
    images: bool,
    mirrors: tuple[str, ...],
    offline: bool,
    force: bool,
    keep_archives: bool,
    source: str,
    datasets: tuple[str, ...],
    data_root: Path | None,
    **combining: Any,
) -> None:
    """Download data sets (cub, sun, awa1, awa2, apy, flo) and word vectors (vectors) to the data root.

    Existing files are kept; an interrupted download is resumed.
    """
    from zslbench.data import data_root as choose_root
    from zslbench_data.download.archives import ARCHIVES, Fetcher
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.get import get_part
    from zslbench_data.progress import Display

    known, parts = catalogue(), _parts(what, images)
    lower = [one.lower() for one in names]
    entries = [known.entry(one) for one in lower if one != _VECTORS]
    if _VECTORS not in lower and (datasets or any(combining.values())):
        raise SettingsError("--dataset, --rule and --allow-missing belong to: zslbench data get vectors")
    root = choose_root(data_root)
    fetcher = Fetcher(root / ARCHIVES, mirrors, offline, force, Display())

    def get_one(entry: CatalogueEntry, part: str) -> Iterator[str]:
        yield f"{entry.name} {part}: {get_part(entry, part, root, fetcher)}"

    def vectors() -> Iterator[str]:
        from zslbench_data.words.attributes import get_vectors

        chosen = _for_vectors(datasets, entries, root)
        texts = get_vectors(known, root, chosen, source, fetcher, **combining)
        yield from (f"{dataset} vectors: {text}" for dataset, text in texts.items())

    jobs = [get_one(entry, part) for entry in entries for part in parts]
    if _VECTORS in lower:
        jobs.append(vectors())
    failures: list[ZslbenchError] = []  # reported at the end, when everything else is done
    try:
        for job in jobs:
            try:
                for line in job:
                    click.echo(line)
            except ZslbenchError as error:
                failures.append(error)
        if not keep_archives:
            fetcher.remove_downloaded()
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command resumes from here") from None
    for failure in failures[:-1]:
        click.echo(f"Error: {failure}", err=True)
    if failures:
        raise failures[-1]


def _for_vectors(datasets: tuple[str, ...], entries: list[CatalogueEntry], root: Path) -> tuple[str, ...]:
    """The data sets to make vectors for: as requested, else every one that has attribute names."""
    from zslbench.data import ATTRIBUTE_NAMES, dataset_folders, sidecar

    chosen = datasets or tuple(one.name for one in entries if _VECTORS not in one.never)
    chosen = chosen or tuple(
        key for key, one in dataset_folders(root).items() if sidecar(one, ATTRIBUTE_NAMES)
    )
    if not chosen:
        advice = "Get some first: zslbench data get sun --what names"
        raise MissingData(root, ["no data set has attribute names"], advice)
    return chosen


def _parts(what: str, images: bool) -> tuple[str, ...]:
    from zslbench_data.download.catalogue import DOWNLOAD_PARTS

    requested = [one.strip().lower() for one in what.split(",") if one.strip()]
    for one in requested:
        if one not in DOWNLOAD_PARTS:
            raise SettingsError(f"--what {what}: no part '{one}', {did_you_mean(one, DOWNLOAD_PARTS)}")
    return tuple(one for one in DOWNLOAD_PARTS if one in requested or (images and one == "images"))
