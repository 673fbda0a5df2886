"""``zslbench data info``: everything about one data set."""

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


@click.command()
@click.argument("name")
@data_root_option
@format_option
def info(name: str, data_root: Path | None, fmt: str) -> None:
    """Show one data set: counts, citation, licence, archives, files, semantics, what to type next."""
    from zslbench.data import data_root as place, dataset_folders
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.presence import look

    known, root = catalogue(), place(data_root)
    entry = known.datasets.get(name.lower())
    folders = dataset_folders(root)
    if entry is None and name.lower() not in folders:
        hint = did_you_mean(name.lower(), {*known.datasets, *folders})
        raise UnknownName(f"no data set '{name}' in the catalogue or under {root}, {hint}")
    there = look(root, entry.folder if entry else folders[name.lower()].name)
    about = _about(name.lower(), entry, there)
    archives = list(_archives(entry, root)) if entry else []
    files = list(_files(there))
    following = list(_next(name.lower(), entry, there, root))
    _write(about, archives, files, following, fmt)


def _about(name: str, entry: Entry | None, there: Presence) -> Row:
    able, unable = _methods(there)
    counts: Row = dict(entry.counts) if entry else _read_counts(there)
    return {
        "dataset": name,
        **counts,
        "semantics": _semantics(entry, there),
        "citation": entry.citation if entry else None,
        "licence": entry.licence if entry else None,
        "folder": str(there.folder),
        "on disk": list(there.here),
        "missing": list(there.missing(entry)),
        "methods that can run": able,
        "methods that cannot": unable,
    }


def _read_counts(there: Presence) -> Row:
    """Counts of a data set that the catalogue does not have, from its splits file."""
    from zslbench.data import SPLITS_FILE, read_mat

    parts = ("trainval", "test_seen", "test_unseen")
    found = read_mat(there.folder / SPLITS_FILE, {"att", *(f"{one}_loc" for one in parts)})
    sizes = {one: _length(found.get(f"{one}_loc")) for one in parts}
    att = getattr(found.get("att"), "shape", (None, None))
    images = None if None in sizes.values() else sum(one or 0 for one in sizes.values())
    return {"images": images, "classes": att[-1], "attributes": att[0], **sizes}


def _length(values: Any) -> int | None:
    return int(values.size) if hasattr(values, "size") else None


def _semantics(entry: Entry | None, there: Presence) -> list[str]:
    """What ``--semantics`` may be, with what it is; of a data set that is on disk."""
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
    """Names of the methods that find what they read, and of the others with what they lack."""
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
            unable.append(f"{one.name} (needs {', '.join(_needed(there, regions))})")
    return able, unable


def _needed(there: Presence, regions: bool) -> list[str]:
    wanted: dict[str, object] = {"splits": there.splits}
    if regions:
        wanted |= {"region features": there.regions, "word vectors": there.vectors}
    else:
        wanted["features"] = there.features
    return [name for name, have in wanted.items() if not have]


def _archives(entry: Entry, root: Path) -> Iterator[Row]:
    """The archives of a data set: what for, where from, how large, whether it is here."""
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.display import human
    from zslbench_data.download.fetch import ARCHIVES

    keys = list(dict.fromkeys(one.archive for one in entry.parts))
    for key in keys:
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
    """The files that are there, with their sizes and where they are from."""
    from zslbench.data import IMAGES
    from zslbench_data.download.display import human
    from zslbench_data.download.sources import SOURCES, read_sources

    origins = read_sources(there.folder)["files"]
    own = [one for one in sorted(there.folder.glob("*")) if not one.name.startswith(".")]
    beside = [one for one in (there.names, there.vectors, *there.regions) if one and one not in own]
    for path in dict.fromkeys([*own, *beside]):
        if path.name == SOURCES:
            continue
        origin = origins.get(path.name, {})
        size = path.stat().st_size if path.is_file() else _weight(path, origin if path.name == IMAGES else {})
        where = [origin[key] for key in ("archive", "member") if origin.get(key)]
        yield {"file": str(path), "size": human(size), "from": " / ".join(where) or None}


def _weight(folder: Path, origin: Row) -> int:
    """Bytes below a folder; those on record where there are very many files."""
    if "bytes" in origin:
        return int(origin["bytes"])
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())


def _next(name: str, entry: Entry | None, there: Presence, root: Path) -> Iterator[str]:
    """What to type to get what is missing, in the order in which it is needed."""
    from zslbench_data import how_to_get_region_features
    from zslbench_data.download import advice

    missing = there.missing(entry)
    if entry and {"splits", "features"} & set(missing):
        yield advice.step(entry, "splits")
    if entry and "names" in missing:
        yield advice.step(entry, "names")
    if "vectors" in missing:
        yield advice.vectors_step(name)
    if "regions" in missing and entry and not entry.part("images"):
        yield how_to_get_region_features(entry.name, root)
    elif "regions" in missing and entry:
        if "images" in missing:
            yield advice.step(entry, "images")
        yield advice.extract_step(entry)
    elif "regions" in missing:
        yield f"put a region store or an HDF5 file with 'feature_map' into {there.folder}"
    yield f"zslbench run METHOD --dataset {name}"


_REGIONS = (
    "Region features are read from a region store or from an HDF5 file in the layout of DAZLE and SC-EGG,\n"
    "in the data set's folder, its folder 'regions', or 'region_features' beside it; --regions chooses one."
)


def _write(about: Row, archives: list[Row], files: list[Row], following: list[str], fmt: str) -> None:
    from zslbench.report import emit, json_text

    if fmt == "json":
        everything = {**about, "archives": archives, "files": files, "next": following}
        click.echo(json_text(everything), nl=False)
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
    click.echo()
    click.echo("what to type next:")
    for line in following:
        click.echo(f"  {line}")
    click.echo()
    click.echo(_REGIONS)
