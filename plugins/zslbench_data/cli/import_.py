"""``zslbench data import``: bring data of other origin below the data root."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zslbench.cli import data_root_option, note
from zslbench.errors import Interrupted, SettingsError

if TYPE_CHECKING:
    from zslbench_data.importing.place import Imported

_FILE = click.Path(path_type=Path)


@click.command("import")
@click.argument("source", type=_FILE)
@click.option(
    "--name", help="Name of the data set (default: that of the folder, or in the HDF5 file's name)."
)
@click.option("--attributes", type=_FILE, metavar="CSV", help="Custom set: classes and their attributes.")
@click.option("--split", type=_FILE, metavar="CSV", help="Custom set: the part of each image or class.")
@click.option("--labels", type=_FILE, metavar="CSV", help="Custom set: class of each row of the arrays.")
@click.option("--images", type=_FILE, metavar="FOLDER", help="Custom set of arrays: its pictures.")
@click.option("--regions", type=_FILE, metavar="NPY", help="Custom set: an array of region features.")
@click.option("--features-name", help="What the features are called (default: as their file).")
@click.option("--regions-name", help="What the region store is called (default: as its file).")
@click.option(
    "--dtype",
    type=click.Choice(["keep", "float16", "float32"]),
    default="keep",
    show_default=True,
    help="What regions are stored in; uint8 keeps its scale.",
)
@click.option(
    "--link", is_flag=True, help="Link files and pictures instead of copying them; they must then stay."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the automatic test_seen."
)
@click.option("--force", is_flag=True, help="Replace what has this name and other content.")
@data_root_option
def import_(
    source: Path,
    name: str | None,
    attributes: Path | None,
    split: Path | None,
    labels: Path | None,
    images: Path | None,
    regions: Path | None,
    features_name: str | None,
    regions_name: str | None,
    dtype: str,
    link: bool,
    seed: int,
    force: bool,
    data_root: Path | None,
) -> None:
    """Bring a data set below the data root: checked as a whole, then copied.

    SOURCE is an xlsa17 folder (with att_splits.mat), a region file (HDF5), or for a custom set with
    --attributes and --split an image folder (a sub-folder for each class) or a .npy array of features (images
    x d) or regions (images x regions x channels). docs/data.md describes the CSV files.
    """
    from zslbench.data import SPLITS_FILE, data_root as place
    from zslbench_data.cli.display import Bars

    root, shown = place(data_root), Bars()
    custom = {
        "--attributes": attributes, "--split": split, "--labels": labels, "--images": images,
        "--regions": regions, "--features-name": features_name,
    }  # fmt: skip
    try:
        if attributes is not None or split is not None:
            done = _custom(
                source, root, name, attributes, split, force, shown,
                labels=labels, images=images, regions=regions, features_name=features_name,
                regions_name=regions_name, dtype=dtype, link=link, seed=seed,
            )  # fmt: skip
        elif given := [option for option, value in custom.items() if value is not None]:
            raise SettingsError(f"{', '.join(given)}: a custom set needs --attributes and --split")
        elif source.is_dir():
            from zslbench_data.importing.folder import import_folder

            if not (source / SPLITS_FILE).is_file():
                raise SettingsError(
                    f"{source} has no {SPLITS_FILE}; for an image folder pass --attributes and --split"
                )
            done = import_folder(
                root, name or source.resolve().name, source, link=link, force=force, display=shown
            )
        else:
            from zslbench_data.importing.regions import import_regions

            done = import_regions(
                root, source, name=name, regions_name=regions_name, dtype=dtype, force=force, display=shown
            )
    except KeyboardInterrupt:
        raise Interrupted("interrupted; nothing was imported") from None
    _tell(done)


def _custom(
    source: Path,
    root: Path,
    name: str | None,
    attributes: Path | None,
    split: Path | None,
    force: bool,
    shown: object,
    **given: object,
) -> Imported:
    """The custom data set whose images or array is ``source``."""
    from typing import Any, cast

    from zslbench_data.importing.arrays import axes
    from zslbench_data.importing.custom_write import Custom, import_custom

    if attributes is None or split is None or name is None:
        raise SettingsError("a custom set needs --name, --attributes and --split")
    what = "images" if source.is_dir() else "features" if axes(source) == 2 else "regions"
    if given.get(what) is not None:
        raise SettingsError(f"--{what}: {source} has the {what} already")
    everything = cast(Any, {**given, what: source})
    return import_custom(
        root, name, Custom(attributes, split, **everything), force=force, display=cast(Any, shown)
    )


def _tell(done: Imported) -> None:
    for text in done.notes:
        note(text)
    click.echo(f"{done.name}: {done.text}, in {done.folder}")
    click.echo("what to type next:")
    for line in done.following:
        click.echo(f"  {line}")
