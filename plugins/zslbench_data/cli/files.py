"""``zslbench data import``, ``check``, ``export`` and ``extract``: the files of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import COUNT, SEED, data_root_option, format_option, note, options_of, sets_environment
from zslbench.errors import DataError, Interrupted, SettingsError
from zslbench.output import echo, quiet
from zslbench_data.cli.sets import note_shadowed

if TYPE_CHECKING:
    from zslbench.plugin import FeatureExtractor
    from zslbench_data.exporting.export import Layout
    from zslbench_data.importing.records import Imported

_FILE = click.Path(path_type=Path)


@click.command("import")
@click.argument("source", type=_FILE)
@click.option("--name", help="Name of the data set (default: from the source's name).")
@click.option("--attributes", type=_FILE, metavar="CSV", help="Custom set: classes and their attributes.")
@click.option("--split", type=_FILE, metavar="CSV", help="Custom set: the part of each image or class.")
@click.option("--labels", type=_FILE, metavar="CSV", help="Custom set: the class of each row of the arrays.")
@click.option("--images", type=_FILE, metavar="FOLDER", help="Custom set of arrays: its images.")
@click.option("--regions", type=_FILE, metavar="NPY", help="Custom set: an array of region features.")
@click.option("--features-name", help="Name of the features (default: their file's).")
@click.option("--regions-name", help="Name of the region store (default: its file's).")
@click.option(
    "--dtype",
    type=click.Choice(["keep", "float16", "float32"]),
    default="keep",
    show_default=True,
    help="Data type of the stored regions; uint8 keeps its scale.",
)
@click.option(
    "--layout",
    type=click.Choice(["channels-first", "channels-last"]),
    help="Region maps: (channels, height, width) or (height, width, channels).  [default: by their sizes]",
)
@click.option(
    "--link",
    is_flag=True,
    help="Link files and images instead of copying them; they must stay where they are.",
)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Seed of the automatic test_seen split.",
)
@click.option("--force", is_flag=True, help="Replace an existing data set of this name.")
@data_root_option
def import_(source: Path, name: str | None, data_root: Path | None, force: bool, **options: Any) -> None:
    """Import a data set into the data root: validate everything, then copy.

    SOURCE is an xlsa17 folder (with att_splits.mat), a region file (HDF5), a file with a whole data set
    (MATLAB, HDF5 or .npz, with arrays such as x_train, y_train, x_test, S_tr), or for a custom set with
    --attributes and --split an image folder (with a subfolder for each class) or a .npy array of features
    (images x d) or regions (images x regions x channels, or maps). docs/data.md describes the CSV files.
    """
    from zslbench.data import data_root as choose_root
    from zslbench_data.progress import Display

    try:
        done = _import(source, choose_root(data_root), name, options, force=force, display=Display())
    except KeyboardInterrupt:
        raise Interrupted("interrupted; nothing was imported") from None
    for text in done.notes:
        note(text)
    note_shadowed(done.target.key, data_root)
    echo(f"{done.target.name}: {done.text}, in {done.target.folder}")
    if not quiet():
        echo("next:", *(f"  {line}" for line in done.next_commands))


_HOW = (
    "Import the folder that holds att_splits.mat; unpack archives first; arrays need --attributes and "
    "--split; a file with a whole data set has x_train, y_train, x_test and class attributes"
)


def _holds(names: list[str]) -> str:
    return f" with {', '.join(names[:8])}" if names else ""


def _import(source: Path, root: Path, name: str | None, options: dict[str, Any], **common: Any) -> Imported:
    from zslbench.data import SPLITS_FILE, UNKNOWN, Findings, absence, file_kind, require_file

    if options["attributes"] is not None or options["split"] is not None:
        from zslbench_data.importing.custom import CustomFiles
        from zslbench_data.importing.custom_write import import_custom, open_array

        if options["attributes"] is None or options["split"] is None or name is None:
            raise SettingsError("a custom set needs --name, --attributes and --split")
        findings = Findings()
        array = None if source.is_dir() else open_array(source, findings)
        findings.raise_errors(source.parent)
        what = "images" if array is None else "features" if array.ndim == 2 else "regions"
        if options.get(what) is not None:
            raise SettingsError(f"--{what}: {source} already has the {what}")
        return import_custom(root, name, CustomFiles(**{**options, what: source}), **common)
    custom = ("attributes", "split", "labels", "images", "regions")
    if given := [f"--{one.replace('_', '-')}" for one in custom if options[one] is not None]:
        raise SettingsError(f"{', '.join(given)}: a custom set needs --attributes and --split")
    if source.is_dir():
        from zslbench_data.importing.folder import import_folder

        if fault := absence(source / SPLITS_FILE):
            hint = "for an image folder pass --attributes and --split"
            raise SettingsError(f"{source / SPLITS_FILE} {fault}; {hint}")
        name = name or source.resolve().name
        return import_folder(root, name, source, link=options["link"], **common)
    require_file(source)
    from zslbench_data.importing.one_file import import_one_file, is_one_file, variables

    names, kind = variables(source), file_kind(source)
    if is_one_file(names):
        if name is None:
            raise SettingsError(f"{source} holds a whole data set: pass --name to import it")
        return import_one_file(root, source, name, features_name=options["features_name"], **common)
    if options["features_name"] is not None:
        raise SettingsError("--features-name is for custom data sets: pass --attributes and --split too")
    if kind != UNKNOWN and "feature_map" not in names:
        raise DataError(source, [f"is {kind}{_holds(names)}, not a data set that can be imported"], _HOW)
    from zslbench_data.importing.regions import import_regions

    stored = {name: options[name] for name in ("regions_name", "dtype", "layout")}
    return import_regions(root, source, name=name, **stored, **common)


@click.command()
@click.argument("dataset")
@click.option("--features", help="Only this features file (default: all).")
@click.option("--regions", help="Only these region features: a name, or a path (default: all).")
@click.option("--semantics", help="Only these class semantics, by name (default: all).")
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@data_root_option
@format_option
def check(dataset: str, strict: bool, data_root: Path | None, fmt: str, **options: Any) -> None:
    """Check a data set: counts, splits, values, duplicates, order, regions, word vectors, checksums.

    Prints one row per check. The exit code is 1 if there are errors (with --strict also if
    there are warnings), else 0.
    """
    from zslbench.report import emit
    from zslbench_data.checking.check import check_dataset
    from zslbench_data.progress import Display

    found = check_dataset(dataset, data_root, display=Display(), **options)
    order = ("error", "warning", "ok")
    rows = sorted(found, key=lambda one: order.index(one.severity))
    emit([one.row() for one in rows], fmt, title=f"data set {dataset}")
    counts = {one: sum(row.severity == one for row in rows) for one in order}
    echo(f"{counts['error']} errors, {counts['warning']} warnings, {counts['ok']} ok", err=True)
    if counts["error"] or (strict and counts["warning"]):
        click.get_current_context().exit(1)


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
@click.option("-o", "--output", type=_FILE, required=True, metavar="PATH", help="Folder (xlsa17) or file.")
@options_of("features", "regions", "semantics", "data_root")
@click.option("--force", is_flag=True, help="Replace existing files.")
def export(dataset: str, layout: Layout, output: Path, data_root: Path | None, **options: Any) -> None:
    """Write a data set in a standard layout, so that other code can run on the same data.

    The chosen class semantics are written as att.
    """
    from zslbench_data.exporting.export import export as write
    from zslbench_data.progress import Display

    try:
        done = write(dataset, layout, output, data_root, display=Display(), **options)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {output} has no incomplete files") from None
    for path in done.files:
        echo(f"wrote {path}")
    echo(done.text)


@click.command()
@click.argument("dataset")
@click.option(
    "--backbone",
    default="efficientnet-lite0",
    show_default=True,
    help="Extractor; zslbench plugins lists them. Papers use resnet101.",
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
    "--value-range",
    type=(float, float),
    metavar="LOW HIGH",
    help="Values of black and white in images of more than 8 bits, e.g. 0 4095.  [default: as they state]",
)
@click.option("--first-page", is_flag=True, help="Use the first page of TIFF files that have several.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "mixed"]),
    default="auto",
    show_default=True,
    help="mixed: half precision where autocast allows it, GPU only; auto: mixed on a GPU, float32 on a CPU.",
)
@click.option("--batch", type=COUNT, help="Batch size.  [default: 64 on a GPU, 8 on a CPU]")
@click.option(
    "--workers",
    type=click.IntRange(0, 1024),
    help="Decoding processes.  [default: one per core up to 16 on a GPU, one on a CPU]",
)
@options_of("settings", "device", "threads", "data_root")
@click.option(
    "--offline",
    is_flag=True,
    expose_value=False,
    callback=sets_environment("HF_HUB_OFFLINE"),  # the libraries of backbones obey it
    help="Do not download weights.",
)
@click.option("--restart", is_flag=True, help="Discard an unfinished extraction.")
def extract(
    dataset: str,
    backbone: str,
    settings: dict[str, Any],
    device: str,
    threads: int | None,
    data_root: Path | None,
    **options: Any,
) -> None:
    """Run a backbone over the images of DATASET.

    Writes region features to <data root>/<DS>/regions/NAME and their means to <data root>/<DS>/NAME.mat, for
    --regions NAME and --features NAME. If it is interrupted, the same command resumes it. Settings of the
    backbone are called extractor.NAME, as in --set extractor.model=facebook/dinov2-base.
    """
    from zslbench.data import HOW_TO_CHOOSE, IMAGES, data_root as choose_root, require_folder
    from zslbench.experiment import choose_mode
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.presence import how_to_get, how_to_get_part
    from zslbench_data.extraction.engine import ExtractionOptions, extract as run
    from zslbench_data.progress import ImageDisplay, human

    entry = catalogue().datasets.get(dataset.lower())
    advice = how_to_get(entry.name) if entry else HOW_TO_CHOOSE
    folder = require_folder(choose_root(data_root), entry.folder if entry else dataset, dataset, advice)
    note_shadowed(dataset, data_root)
    advice = how_to_get_part(entry, "images") if entry else f"Put them into {folder / IMAGES}"
    mode = choose_mode(device, threads)
    extractor = _extractor(backbone, settings)
    requested = ExtractionOptions(backbone=backbone, **options)
    done = run(folder, extractor, requested, mode, display=ImageDisplay(), advice=advice)
    images, regions, channels = done.store.shape
    size = human(images * regions * channels * done.store.dtype.itemsize)
    how = f"{done.computed:,} computed in {done.seconds:.0f} s" if done.computed else "already extracted"
    echo(f"{dataset} regions {done.store.name}: {images:,} x {regions} x {channels}, {size}; {how}")
    echo(f"{dataset} features {done.features.stem}: {images:,} x {channels}, means over regions")


def _extractor(backbone: str, settings: dict[str, Any]) -> FeatureExtractor:
    from zslbench.plugin import build, load_class, registry, settings_model

    registered = registry().component("extractor", backbone)
    for key in settings:
        if not key.startswith("extractor."):
            raise SettingsError(
                f"--set {key}: not a setting of the extractor; those are named extractor.NAME"
            )
    values = {key.removeprefix("extractor."): value for key, value in settings.items()}
    built = build(settings_model(registered), values, f"extractor '{registered.name}'")
    made: FeatureExtractor = load_class(registered)(built)
    return made
