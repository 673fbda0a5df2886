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
    from zslbench_data.download.presence import Presence

    root = choose_root(data_root)
    rows: list[Row] = []
    for name in dict.fromkeys([*catalogue().datasets, *dataset_folders(root)]):
        there = Presence(root, name)
        entry = there.entry
        runs = "none" if there.lacks("features") else "those on global features"
        rows.append(
            {
                "dataset": name,
                **{key: entry and entry.counts[key] for key in ("classes", "images", "attributes")},
                "on disk": there.found,
                "missing": there.missing,
                "runs": runs if there.lacks("regions") else "all",
                "image licence": entry and entry.licence,
            }
        )
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
    from zslbench_data.download.presence import Presence

    root = choose_root(data_root)
    known = {*catalogue().datasets, *dataset_folders(root)}
    if name.lower() not in known:
        hint = did_you_mean(name.lower(), known)
        raise UnknownName(f"no data set '{name}' in the catalogue or under {root}, {hint}")
    there = Presence(root, name)
    about, archives, files = _about(there), list(_archives(there.entry, root)), list(_files(there))
    following = [*there.next_steps(there.missing), f"zslbench run METHOD --dataset {there.name}"]
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


def _about(there: Presence) -> Row:
    entry = there.entry
    able, unable = _methods(there)
    return {
        "dataset": there.name,
        **(entry.counts if entry else _read_counts(there.folder)),
        "semantics": _semantics(there),
        "citation": entry and entry.citation,
        "licence": entry and entry.licence,
        "folder": str(there.folder),
        "on disk": there.found,
        "missing": there.missing,
        "methods that can run": able,
        "methods that cannot": unable,
    }


def _read_counts(folder: Path) -> Row:
    """Counts from the splits file, for a data set outside the catalogue."""
    from zslbench.data import PARTS, FolderContents

    contents = FolderContents(folder)
    if not contents.variables:
        contents.findings.raise_errors(folder)
    sizes = {part: len(rows) for part, rows in contents.parts.items()}
    images = sum(sizes.values()) if len(sizes) == len(PARTS) else None
    shape = (None, None) if contents.semantics is None else contents.semantics.shape
    counts = {"images": images, "classes": shape[0], "attributes": shape[1]}
    return {**counts, **{part: sizes.get(part) for part in PARTS}}


def _semantics(there: Presence) -> list[str]:
    """What ``--semantics`` accepts, with explanations."""
    from zslbench.data import SPLITS_FILE, mat_variables

    if not there.splits:
        return []
    try:
        variables = mat_variables(there.folder / SPLITS_FILE)
    except DataError as error:
        return [str(error)]
    kind = there.entry.semantics if there.entry else "class semantics"
    explained = {"att": f"{kind}, unit length in the official files", "original_att": "as rated"}
    found = [f"{one} ({text})" for one, text in explained.items() if one in variables]
    return found + (["sentence (sentence embeddings)"] if there.sentences else [])


def _methods(there: Presence) -> tuple[list[str], list[str]]:
    """Names of the methods that can run, and of the others with what they need."""
    from zslbench.plugin import load_class, registry

    known = registry()
    able, unable = [], []
    for one in known.methods():
        try:
            embedding = known.composition(one.declaration)["embedding"]
            lacks = there.lacks(load_class(embedding).inputs if embedding else "features")
        except (PluginError, UnknownName) as error:
            unable.append(f"{one.name} ({error})")
            continue
        if lacks:
            unable.append(f"{one.name} (needs {', '.join(lacks)})")
        else:
            able.append(one.name)
    return able, unable


def _archives(entry: CatalogueEntry | None, root: Path) -> Iterator[Row]:
    from zslbench_data.download.archives import ARCHIVES
    from zslbench_data.progress import human

    parts = entry.parts if entry else ()
    for one in dict.fromkeys(part.archive for part in parts):
        path = root / ARCHIVES / one.file
        yield {
            "archive": one.file,
            "for": [part.what for part in parts if part.archive == one],
            "size": human(one.size),
            "here": human(path.stat().st_size) if path.is_file() else None,
            "licence": one.licence,
            "holds": one.holds,
            "checksum": one.checksum or "recorded when first seen",
            "addresses": list(one.urls),
            "page": one.page,
        }


def _files(there: Presence) -> Iterator[Row]:
    """The files that exist, with sizes and origins."""
    from zslbench.data import IMAGES
    from zslbench_data.download.get import SOURCES, read_sources
    from zslbench_data.progress import human

    origins = read_sources(there.folder)["files"]
    own = [one for one in sorted(there.folder.glob("[!.]*")) if one.name != SOURCES]
    shared = [one for one in (there.names, there.vectors, *there.regions) if one]
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
