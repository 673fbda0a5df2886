"""``zslbench data get``: download splits, features, names, pictures and word vectors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zslbench.cli import data_root_option, note
from zslbench.errors import Interrupted, MissingData, SettingsError, ZslbenchError, did_you_mean

if TYPE_CHECKING:
    from zslbench_data.download.catalogue import Catalogue, Entry
    from zslbench_data.download.fetch import Fetcher
    from zslbench_data.words.build import Rule

_VECTORS = "vectors"


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--what",
    default="splits,names",
    show_default=True,
    metavar="PART,...",
    help="Which parts: splits (with their archive's ResNet-101 features), names (of attributes), images.",
)
@click.option("--images", is_flag=True, help="The pictures too.")
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    help="An address tried first: of a folder that holds the archives, or of an archive. Repeatable.",
)
@click.option("--offline", is_flag=True, help="Download nothing; use archives that lie below the data root.")
@click.option("--force", is_flag=True, help="Download and unpack again even what is there.")
@click.option(
    "--keep-archives/--no-keep-archives",
    default=True,
    show_default=True,
    help="Whether archives stay in <data root>/archives, where other data sets share them.",
)
@click.option(
    "--source",
    default="glove",
    show_default=True,
    metavar="glove|glove-840b|FILE",
    help="With vectors: GloVe, a file in word2vec or GloVe format (.gz and .zip too), or a ready .npy array.",
)
@click.option(
    "--dataset", "datasets", multiple=True, help="With vectors: only for this data set; repeatable."
)
@click.option(
    "--rule",
    type=click.Choice(["sum", "mean"]),
    help="With vectors: how several words make one row.  [default: mean for GloVe, sum for files]",
)
@click.option("--allow-missing", is_flag=True, help="With vectors: zero rows where no word is known.")
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
    rule: Rule | None,
    allow_missing: bool,
    data_root: Path | None,
) -> None:
    """Download data sets (cub, sun, awa1, awa2, apy, flo) and word vectors (vectors) below the data root.

    What is there already is left alone; a transfer that was cut or stopped goes on where it was.
    """
    from zslbench.data import data_root as place
    from zslbench_data.cli.display import Bars
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.fetch import ARCHIVES, Fetcher

    known = catalogue()
    parts = _parts(what, images)
    lower = [one.lower() for one in names]
    entries = [known.entry(one) for one in lower if one != _VECTORS]
    if _VECTORS not in lower and (datasets or allow_missing or rule):
        raise SettingsError("--dataset, --rule and --allow-missing belong to: zslbench data get vectors")
    root = place(data_root)
    fetcher = Fetcher(root / ARCHIVES, mirrors, offline, force, Bars())
    failed: list[ZslbenchError] = []
    try:
        for entry in entries:
            for part in parts:
                with _collecting(failed):
                    _get_part(known, entry, part, root, fetcher)
        if _VECTORS in lower:
            with _collecting(failed):
                chosen = datasets or tuple(one.name for one in entries if _VECTORS not in one.never)
                _get_vectors(known, root, chosen, source, fetcher, rule, allow_missing)
        if not keep_archives:
            fetcher.drop()
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command goes on from here") from None
    for error in failed[:-1]:
        click.echo(f"Error: {error}", err=True)
    if failed:
        raise failed[-1]


@contextlib.contextmanager
def _collecting(failed: list[ZslbenchError]) -> Iterator[None]:
    """What can be had is had first; what went wrong is told at the end."""
    try:
        yield
    except ZslbenchError as error:
        failed.append(error)


def _get_part(known: Catalogue, entry: Entry, part: str, root: Path, fetcher: Fetcher) -> None:
    from zslbench_data.download.get import get_part

    got = get_part(known, entry, part, root, fetcher, force=fetcher.force)
    click.echo(f"{got.dataset} {got.what}: {got.text}")


def _get_vectors(
    known: Catalogue,
    root: Path,
    datasets: tuple[str, ...],
    source: str,
    fetcher: Fetcher,
    rule: Rule | None,
    allow_missing: bool,
) -> None:
    from zslbench.data import ATTRIBUTE_NAMES, dataset_folders, sidecar
    from zslbench_data.words.get import get_vectors

    if not datasets:
        datasets = tuple(key for key, one in dataset_folders(root).items() if sidecar(one, ATTRIBUTE_NAMES))
    if not datasets:
        raise MissingData(
            root,
            ["no data set here has attribute names"],
            "Get one first: zslbench data get sun --what names",
        )
    force = fetcher.force
    for made in get_vectors(
        known, root, datasets, source, fetcher, rule=rule, allow_missing=allow_missing, force=force
    ):
        for warning in made.warnings:
            note(f"{made.dataset}: {warning}")
        click.echo(f"{made.dataset} vectors: {made.text}")


def _parts(what: str, images: bool) -> tuple[str, ...]:
    from zslbench_data.download.catalogue import PARTS

    asked = [one.strip().lower() for one in what.split(",") if one.strip()]
    for one in asked:
        if one not in PARTS:
            raise SettingsError(f"--what {what}: no part '{one}', {did_you_mean(one, PARTS)}")
    return tuple(one for one in PARTS if one in asked or (images and one == "images"))
