"""``zslbench plot``: figures of a finished run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from zslbench.cli import data_root_option, format_option, note, store_option
from zslbench_report.cli import require_folder

F = TypeVar("F", bound=Callable[..., Any])


def _output_option(command: F) -> F:
    return click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="PNG or SVG file to write.  [default: KIND-RUN.png]",
    )(command)


def _regions_option(command: F) -> F:
    return click.option(
        "--regions", metavar="NAME|PATH", help="The run's region features, if they have moved."
    )(command)


@click.group()
def plot() -> None:
    """Figures of a finished run, made with --keep-weights."""


@plot.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the data set's pictures; without it, region activations are shown instead.",
)
@click.option("--image", "rows", type=int, multiple=True, metavar="ROW", help="Show this image; repeatable.")
@click.option(
    "--count", type=click.IntRange(1, 50), default=4, show_default=True, help="How many test images."
)
@click.option(
    "--top", type=click.IntRange(1, 20), default=8, show_default=True, help="How many attributes per image."
)
@click.option(
    "--attribute-names",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Names of the attributes, one per line.",
)
@_output_option
@_regions_option
@data_root_option
@store_option
@format_option
def attention(
    run_id: str,
    attribute_names: Path | None,
    output: Path | None,
    store: Path | None,
    fmt: str,
    **options: Any,
) -> None:
    """Where the embedding looks: an overall map, and maps of the attributes with the highest scores.

    RUN may be a shortened id.
    """
    from zslbench.store import Store
    from zslbench_report.plots.attention import figure
    from zslbench_report.plots.canvas import save
    from zslbench_report.plots.images import read_attribute_names

    record = Store.default(store).resolve(run_id)
    path = _plot_file(output or Path(f"attention-{record.info.id}.png"))
    names = None if attribute_names is None else read_attribute_names(attribute_names)
    save(figure(record, attribute_names=names, notify=note, **options), path)
    _written([path], fmt)


@plot.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--baseline",
    metavar="RUN",
    help="A run on the same images whose generator works on backbone features, as tf-vaegan's does.",
)
@click.option(
    "--classes",
    type=click.IntRange(2, 20),
    default=10,
    show_default=True,
    help="Classes, half of them unseen.",
)
@click.option(
    "--per-class",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Test images (at most) and synthetic features per class.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="For the choice of images, noise and t-SNE.",
)
@click.option(
    "--data-out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.csv",
    help="Also write the points as CSV.",
)
@_output_option
@_regions_option
@data_root_option
@store_option
@format_option
def tsne(
    run_id: str,
    baseline: str | None,
    data_out: Path | None,
    output: Path | None,
    store: Path | None,
    fmt: str,
    **options: Any,
) -> None:
    """Real seen, real unseen and synthetic unseen features in backbone space and in the embedding's.

    RUN and --baseline may be shortened ids.
    """
    from zslbench.store import Store, write_whole
    from zslbench_report.plots.canvas import save
    from zslbench_report.plots.tsne import compute, figure

    runs = Store.default(store)
    record = runs.resolve(run_id)
    other = None if baseline is None else runs.resolve(baseline)
    path = _plot_file(output or Path(f"tsne-{record.info.id}.png"))
    if data_out is not None:
        require_folder(data_out)
    projection = compute(record, baseline=other, notify=note, **options)
    save(figure(projection), path)
    if data_out is not None:
        write_whole(data_out, projection.frame().to_csv(index=False).encode())
    _written([path] if data_out is None else [path, data_out], fmt)


def _plot_file(path: Path) -> Path:
    """``path``, refused before anything is computed if no figure can be written there."""
    from zslbench_report.plots.canvas import check_plot_file

    check_plot_file(path)
    require_folder(path)
    return path


def _written(paths: Sequence[Path], fmt: str) -> None:
    """Print the files written, and nothing else."""
    if fmt == "terminal":
        for path in paths:
            click.echo(path)
        return
    from zslbench.report import emit

    emit([{"file": str(path)} for path in paths], fmt)
