"""``zslbench plot``: figures of a finished run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from zslbench.cli.options import data_root_option, format_option, note, store_option

F = TypeVar("F", bound=Callable[..., Any])


def _output_option(command: F) -> F:
    return click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="PNG or SVG file to write; otherwise KIND-RUN.png in this folder.",
    )(command)


def _regions_option(command: F) -> F:
    return click.option(
        "--regions", metavar="NAME|PATH", help="The run's region features, where they lie elsewhere now."
    )(command)


@click.group()
def plot() -> None:
    """Figures of a finished run, which must have been kept with --keep-weights."""


@plot.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the data set's pictures; without, region activations stand for them.",
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
    help="Names of the attributes, one a line.",
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
    """Where the embedding looks: global map, and maps of the attributes with the highest scores.

    RUN is the beginning of a run's id.
    """
    from zslbench.store.store import Store
    from zslbench_report.plots.attention import figure
    from zslbench_report.plots.canvas import plot_file, save
    from zslbench_report.plots.names import read_names

    record = Store.default(store).resolve(run_id)
    path = plot_file(output or Path(f"attention-{record.info.id}.png"))
    names = None if attribute_names is None else read_names(attribute_names)
    save(figure(record, attribute_names=names, say=note, **options), path)
    _written([path], fmt)


@plot.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--baseline",
    metavar="RUN",
    help="Run on the same images whose generator works on backbone features, as tf-vaegan's.",
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
    help="Test images (at most) and synthetic features of a class.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of choice, noise and t-SNE."
)
@click.option(
    "--data-out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.csv",
    help="Write the points as CSV too.",
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

    RUN and --baseline are the beginnings of runs' ids.
    """
    from zslbench.store.files import write_whole
    from zslbench.store.store import Store
    from zslbench_report.plots.canvas import in_folder, plot_file, save
    from zslbench_report.plots.tsne import compute, drawn

    runs = Store.default(store)
    record = runs.resolve(run_id)
    other = None if baseline is None else runs.resolve(baseline)
    path = plot_file(output or Path(f"tsne-{record.info.id}.png"))
    if data_out is not None:
        in_folder(data_out)
    found = compute(record, baseline=other, say=note, **options)
    save(drawn(found), path)
    if data_out is not None:
        write_whole(data_out, found.frame().to_csv(index=False).encode())
    _written([path] if data_out is None else [path, data_out], fmt)


def _written(paths: Sequence[Path], fmt: str) -> None:
    """Say which files were written, and nothing else."""
    if fmt == "terminal":
        for path in paths:
            click.echo(path)
        return
    from zslbench.report.formats import emit

    emit([{"file": str(path)} for path in paths], fmt)
