"""``zslbench data list`` and ``zslbench data info``: data sets, and which of their files exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import data_root_option, format_option
from zslbench.errors import DataError, PluginError, UnknownName, did_you_mean

if TYPE_CHECKING:
    from zslbench_data.download.catalogue import CatalogueEntry
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
        entry, presence = known.get(name), look(root, folder)
        counts = {key: entry.counts[key] if entry else None for key in ("classes", "images", "attributes")}
        files = {"on disk": list(presence.found), "missing": list(presence.missing(entry))}
        licence = entry.licence if entry else None
        rows.append({"dataset": name, **counts, **files, "runs": presence.runs, "image licence": licence})
    emit(rows, fmt, title=f"data sets (data root {root})")


@click.command()
@click.argument("name")
@data_root_option
@format_option
def info(name: str, data_root: Path | None, fmt: str) -> None:
    """Show one data set: counts, citation, licence, archives, files, semantics, next commands."""
    from zslbench.data import data_root as choose_root, dataset_folders
    from zslbench.report import emit, json_text
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.presence import look, next_steps

    name = name.lower()
    known, root = catalogue(), choose_root(data_root)
    entry = known.datasets.get(name)
    folders = dataset_folders(root)
    if entry is None and name not in folders:
        hint = did_you_mean(name, {*known.datasets, *folders})
        raise UnknownName(f"no data set '{name}' in the catalogue or under {root}, {hint}")
    presence = look(root, entry.folder if entry else folders[name].name)
    about = _about(name, entry, presence)
    archives = list(_archives(entry, root)) if entry else []
    files = list(_files(presence))
    following = next_steps(name, entry, presence, presence.missing(entry))
    following.append(f"zslbench run METHOD --dataset {name}")
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
    click.echo("\nnext:")
    for line in following:
        click.echo(f"  {line}")
    click.echo(f"\n{_REGIONS}")


def _about(name: str, entry: CatalogueEntry | None, presence: Presence) -> Row:
    able, unable = _methods(presence)
    return {
        "dataset": name,
        **(entry.counts if entry else _read_counts(presence)),
        "semantics": _semantics(entry, presence),
        "citation": entry.citation if entry else None,
        "licence": entry.licence if entry else None,
        "folder": str(presence.folder),
        "on disk": list(presence.found),
        "missing": list(presence.missing(entry)),
        "methods that can run": able,
        "methods that cannot": unable,
    }


def _read_counts(presence: Presence) -> Row:
    """Counts from the splits file, for a data set outside the catalogue."""
    from zslbench.data import PARTS, read_folder

    contents = read_folder(presence.folder)
    if not contents.variables:
        contents.findings.raise_errors(presence.folder)
    sizes = {part: len(contents.parts[part]) if part in contents.parts else None for part in PARTS}
    known = [size for size in sizes.values() if size is not None]
    images = sum(known) if len(known) == len(PARTS) else None
    shape = (None, None) if contents.semantics is None else contents.semantics.shape
    return {"images": images, "classes": shape[0], "attributes": shape[1], **sizes}


def _semantics(entry: CatalogueEntry | None, presence: Presence) -> list[str]:
    """What ``--semantics`` accepts, with explanations."""
    from zslbench.data import SPLITS_FILE, mat_variables

    if not presence.splits:
        return []
    try:
        variables = mat_variables(presence.folder / SPLITS_FILE)
    except DataError as error:
        return [str(error)]
    kind = entry.semantics if entry else "class semantics"
    explained = {"att": f"{kind}, unit length in the official files", "original_att": "as rated"}
    found = [f"{one} ({text})" for one, text in explained.items() if one in variables]
    return found + (["sentence (sentence embeddings)"] if presence.sentences else [])


def _methods(presence: Presence) -> tuple[list[str], list[str]]:
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
        if presence.region_features if regions else presence.global_features:
            able.append(one.name)
            continue
        needed: dict[str, object] = {"splits": presence.splits}
        if regions:
            needed |= {"region features": presence.regions, "word vectors": presence.vectors}
        else:
            needed["features"] = presence.features
        unable.append(f"{one.name} (needs {', '.join(name for name, found in needed.items() if not found)})")
    return able, unable


def _archives(entry: CatalogueEntry, root: Path) -> Iterator[Row]:
    from zslbench_data.download.archives import ARCHIVES
    from zslbench_data.progress import human

    for one in dict.fromkeys(part.archive for part in entry.parts):
        path = root / ARCHIVES / one.file
        yield {
            "archive": one.file,
            "for": [part.what for part in entry.parts if part.archive == one],
            "size": human(one.size),
            "here": human(path.stat().st_size) if path.is_file() else None,
            "licence": one.licence,
            "holds": one.holds,
            "checksum": one.checksum or "recorded when first seen",
            "addresses": list(one.urls),
            "page": one.page,
        }


def _files(presence: Presence) -> Iterator[Row]:
    """The files that exist, with sizes and origins."""
    from zslbench.data import IMAGES
    from zslbench_data.download.get import SOURCES, read_sources
    from zslbench_data.progress import human

    origins = read_sources(presence.folder)["files"]
    own = [one for one in sorted(presence.folder.glob("[!.]*")) if one.name != SOURCES]
    shared = [one for one in (presence.names, presence.vectors, *presence.regions) if one]
    for path in dict.fromkeys([*own, *shared]):
        origin = origins.get(path.name, {})
        if path.is_file():
            size = path.stat().st_size
        elif path.name == IMAGES and "bytes" in origin:  # too many files to add up
            size = int(origin["bytes"])
        else:
            size = sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
        where = [origin[key] for key in ("archive", "member") if origin.get(key)]
        yield {"file": str(path), "size": human(size), "from": " / ".join(where) or None}
