"""``zslbench predict``: classifies pictures or features with a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zslbench.cli import COUNT, data_root_option, format_option, note, options_of, store_option
from zslbench.errors import SettingsError, ZslbenchError

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("run", metavar="RUN")
@click.option("--images", type=_PATH, metavar="FOLDER", help="Pictures to classify: a folder, or one file.")
@click.option(
    "--features",
    type=_PATH,
    metavar="FILE",
    help="Features instead: .npy (images x d, or images x regions x dv), .mat, region store or HDF5 file.",
)
@click.option(
    "--classes",
    type=_PATH,
    metavar="CSV",
    help="New classes instead of the run's: a column of names, then the attributes by name.",
)
@click.option(
    "--seen/--no-seen",
    default=None,
    help="Score the run's seen classes as well.  [default: yes, but not with --classes]",
)
@click.option("--top", type=COUNT, default=5, show_default=True, help="Classes for each picture.")
@click.option(
    "--calibrated",
    is_flag=True,
    help="Subtract the offset that validation chose (calibrated stacking) from scores of seen classes.",
)
@click.option(
    "-o", "--output", type=_PATH, metavar="FILE", help="Write to this file: CSV, or JSON if it ends in .json."
)
@click.option("--batch", type=COUNT, help="Pictures at a time.  [default: 64 on a GPU, 8 on a CPU]")
@click.option("--workers", type=click.IntRange(0, 1024), help="Decoding processes.")
@options_of("settings", "regions", "semantics", "device", "threads")
@data_root_option
@store_option
@format_option
def predict(run: str, output: Path | None, fmt: str, settings: dict[str, Any], **options: Any) -> None:
    """Classify pictures with RUN (the id, or its first characters), a finished run that was made with
    --keep-weights.

    Pictures pass through the extractor that the run's features came from. New classes need no pictures: they
    are described by attributes, and a generative method synthesises their features and fits its classifier
    again. Scores are on the classifier's own scale; only their order within a picture matters.
    """
    from zslbench.report import emit, render
    from zslbench.store import write_atomically
    from zslbench_predict import predict as predicting

    if (options["images"] is None) == (options["features"] is None):
        raise click.UsageError("give either --images or --features")
    found = predicting.predict(run, settings=settings, notify=note, **options)
    if output is None:
        emit(found, fmt, decimals=4)
    else:
        kind = "json" if output.suffix.lower() == ".json" else "csv"
        try:
            write_atomically(output, render(found, kind).encode())
        except OSError as error:
            raise SettingsError(f"{output}: cannot be written ({error.strerror or error})") from None
        note(f"wrote {output}")
    if "fault" in found:
        bad = found[found["fault"].notna()]
        first = bad.iloc[0]
        raise ZslbenchError(f"{len(bad)} pictures cannot be read; {first['file']} {first['fault']}")
