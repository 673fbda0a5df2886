"""``zslbench data export``: a data set in the layouts that other people's code reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zslbench.cli import data_root_option
from zslbench.errors import Interrupted

if TYPE_CHECKING:
    from zslbench_data.exporting.export import Layout


@click.command()
@click.argument("dataset")
@click.option(
    "--to",
    "layout",
    type=click.Choice(["xlsa17", "hdf5", "arrow"]),
    required=True,
    help="xlsa17: a folder with .mat files; hdf5: region features as DAZLE and SC-EGG read them; "
    "arrow: a Parquet file with images, labels, parts and attributes.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="PATH",
    help="Folder (xlsa17) or file to write.",
)
@click.option("--features", help="Which features file (default: res101); mean: means over regions.")
@click.option("--regions", help="Which region features: a name, or a path.")
@click.option("--semantics", help="What is written as att: att, original_att or sentence (default: att).")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@data_root_option
def export(
    dataset: str,
    layout: Layout,
    output: Path,
    features: str | None,
    regions: str | None,
    semantics: str | None,
    force: bool,
    data_root: Path | None,
) -> None:
    """Write a data set in the layouts of the field, so that other code can run on the same values."""
    from zslbench_data.cli.display import Bars
    from zslbench_data.exporting.export import export as write

    try:
        done = write(
            dataset,
            layout,
            output,
            data_root,
            features=features,
            semantics=semantics,
            regions=regions,
            force=force,
            display=Bars(),
        )
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; no file of {output} is half-written") from None
    for path in done.files:
        click.echo(f"wrote {path}")
    click.echo(done.text)
