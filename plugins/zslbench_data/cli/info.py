"""``zslbench data list`` and ``zslbench data info``: data sets, and what is on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import data_root_option, format_option
from zslbench.errors import DataError, PluginError, UnknownName, did_you_mean

if TYPE_CHECKING:
    from zslbench_data.download.catalogue import Entry
    from zslbench_data.download.presence import Presence

Row = dict[str, Any]

_REGIONS = (
    "Region features are read from a region store or from an HDF5 file in the layout of DAZLE and SC-EGG,\n"
    "in the data set's folder, its folder 'regions', or 'region_features' next to it; --regions selects one."
)


@click.command("list")
@data_root_option
@format_option
def list_(data_root: Path | None, fmt: str) -> None:
    """List data sets: those of the catalogue, and folders under the data root.

    The column "runs" says which methods find what they read: those on global features need splits and
    features, those on region features also regions and word vectors. "zslbench data info NAME" names them.
    Simulated data sets need no files; "zslbench datasets" lists them.
    """
    from zslbench.data import data_root as choose_root, dataset_folders
    from zslbench.report import emit
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.presence import look

    known = catalogue().datasets
    root = choose_root(data_root)
    official = {one.folder.lower() for one in known.values()}
    others = {name: folder.name for name, folder in dataset_folders(root).items() if name not in official}
    folders = {name: one.folder for name, one in known.items()} | others
    rows: list[Row] = []
    for name, folder in folders.items():
        entry, there = known.get(name), look(root, folder)
        counts = {key: entry.counts[key] if entry else None for key in ("classes", "images", "attributes")}
        state = {"on disk": list(there.found), "missing": list(there.missing(entry)), "runs": there.runs}
        rows.append(
            {"dataset": name, **counts, **state, "pictures' licence": entry.licence if entry else None}
        )
    emit(rows, fmt, title=f"data sets (data root {root})")


@click.command()
@click.argument("name")
@data_root_option
@format_option
def info(name: str, data_root: Path | None, fmt: str) -> None:
    """Show one data set: counts, citation, licence, archives, files, semantics, what to type next."""
    from zslbench.data import data_root as choose_root, dataset_folders
    from zslbench.report import emit, json_text
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.presence import look

    name = name.lower()
    known, root = catalogue(), choose_root(data_root)
    entry = known.datasets.get(name)
    folders = dataset_folders(root)
    if entry is None and name not in folders:
        hint = did_you_mean(name, {*known.datasets, *folders})
        raise UnknownName(f"no data set '{name}' in the catalogue or under {root}, {hint}")
    there = look(root, entry.folder if entry else folders[name].name)
    about = _about(name, entry, there)
    archives = list(_archives(entry, root)) if entry else []
    files = list(_files(there))
    following = list(_next_commands(name, entry, there, root))
    if fmt == "json":
        click.echo(json_text({**about, "archives": archives, "files": files, "next": following}), nl=False)
        return
    emit([{"": key, "value": value} for key, value in about.items()], fmt, title="")
    if fmt == "csv":
        return
    if archives:
        click.echo()
        shown = ("archive", "for", "size", "here", "licence", "holds")
        emit([{key: one[key] for key in shown} for one in archives], fmt, title="archives")
        click.echo()
        for one in archives:
            click.echo(f"{one['archive']}, checksum {one['checksum']}, page {one['page']}")
            for address in one["addresses"]:
                click.echo(f"  {address}")
    if files:
        click.echo()
        emit(files, fmt, title="files")
    click.echo("\nwhat to type next:")
    for line in following:
        click.echo(f"  {line}")
    click.echo(f"\n{_REGIONS}")


def _about(name: str, entry: Entry | None, there: Presence) -> Row:
    able, unable = _methods(there)
    return {
        "dataset": name,
        **(entry.counts if entry else _read_counts(there)),
        "semantics": _semantics(entry, there),
        "citation": entry.citation if entry else None,
        "licence": entry.licence if entry else None,
        "folder": str(there.folder),
        "on disk": list(there.found),
        "missing": list(there.missing(entry)),
        "methods that can run": able,
        "methods that cannot": unable,
    }


def _read_counts(there: Presence) -> Row:
    """Counts from the splits file, for a data set outside the catalogue."""
    from zslbench.data import SPLITS_FILE, read_mat

    parts = ("trainval", "test_seen", "test_unseen")
    found = read_mat(there.folder / SPLITS_FILE, {"att", *(f"{one}_loc" for one in parts)})
    arrays = {one: found.get(f"{one}_loc") for one in parts}
    sizes = {
        one: None if array is None or isinstance(array, list) else int(array.size)
        for one, array in arrays.items()
    }
    att = getattr(found.get("att"), "shape", (None, None))
    images = None if None in sizes.values() else sum(one or 0 for one in sizes.values())
    return {"images": images, "classes": att[-1], "attributes": att[0], **sizes}


def _semantics(entry: Entry | None, there: Presence) -> list[str]:
    """What ``--semantics`` accepts, with explanations."""
    from zslbench.data import SPLITS_FILE, mat_variables

    if not there.splits:
        return []
    kind = entry.semantics if entry else "class semantics"
    try:
        variables = mat_variables(there.folder / SPLITS_FILE)
    except DataError as error:
        return [str(error)]
    found = [f"att ({kind}, unit length in the official files)"] if "att" in variables else []
    if "original_att" in variables:
        found.append("original_att (as rated)")
    if there.sentences:
        found.append("sentence (sentence embeddings)")
    return found


def _methods(there: Presence) -> tuple[list[str], list[str]]:
    """Names of the methods that can run, and of the others with what they need."""
    from zslbench.plugin import load_class, registry

    known = registry()
    able, unable = [], []
    for one in known.methods():
        try:
            embedding = known.composition(one.declaration)["embedding"]
            regions = embedding is not None and load_class(embedding).inputs == "regions"
        except (PluginError, UnknownName) as error:
            unable.append(f"{one.name} ({error})")
            continue
        if there.region_features if regions else there.global_features:
            able.append(one.name)
        else:
            needed: dict[str, object] = {"splits": there.splits}
            if regions:
                needed |= {"region features": there.regions, "word vectors": there.vectors}
            else:
                needed["features"] = there.features
            lacking = [name for name, found in needed.items() if not found]
            unable.append(f"{one.name} (needs {', '.join(lacking)})")
    return able, unable


def _archives(entry: Entry, root: Path) -> Iterator[Row]:
    from zslbench_data.download.archives import ARCHIVES
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.progress import human

    for key in dict.fromkeys(one.archive for one in entry.parts):
        one = catalogue().archives[key]
        path = root / ARCHIVES / one.file
        yield {
            "archive": one.file,
            "for": [part.what for part in entry.parts if part.archive == key],
            "size": human(one.size),
            "here": human(path.stat().st_size) if path.is_file() else None,
            "licence": one.licence,
            "holds": one.holds,
            "checksum": one.checksum or "recorded when first seen",
            "addresses": list(one.urls),
            "page": one.page,
        }


def _files(there: Presence) -> Iterator[Row]:
    """The files on the disk with sizes and origins."""
    from zslbench.data import IMAGES
    from zslbench_data.download.get import SOURCES, read_sources
    from zslbench_data.progress import human

    origins = read_sources(there.folder)["files"]
    own = [one for one in sorted(there.folder.glob("*")) if not one.name.startswith(".")]
    shared = [one for one in (there.names, there.vectors, *there.regions) if one]
    for path in dict.fromkeys([*own, *shared]):
        if path.name == SOURCES:
            continue
        origin = origins.get(path.name, {})
        if path.is_file():
            size = path.stat().st_size
        elif path.name == IMAGES and "bytes" in origin:  # too many files to add up
            size = int(origin["bytes"])
        else:
            size = sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
        where = [origin[key] for key in ("archive", "member") if origin.get(key)]
        yield {"file": str(path), "size": human(size), "from": " / ".join(where) or None}


def _next_commands(name: str, entry: Entry | None, there: Presence, root: Path) -> Iterator[str]:
    """The commands that get what is missing, in the order in which it is needed."""
    from zslbench_data.download import presence

    missing = there.missing(entry)
    if entry and {"splits", "features"} & set(missing):
        yield presence.how_to_get_part(entry, "splits")
    if entry and "names" in missing:
        yield presence.how_to_get_part(entry, "names")
    if "vectors" in missing:
        yield presence.how_to_get_vectors(name)
    if "regions" in missing and entry and not entry.part("images"):
        yield presence.how_to_get_region_features(entry.name, root)
    elif "regions" in missing and entry:
        if "images" in missing:
            yield presence.how_to_get_part(entry, "images")
        yield presence.how_to_extract(entry)
    elif "regions" in missing:
        yield f"put a region store or an HDF5 file with 'feature_map' into {there.folder}"
    yield f"zslbench run METHOD --dataset {name}"
