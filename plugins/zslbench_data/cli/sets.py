"""``zslbench data list``, ``info`` and ``get``: the data sets, which of their files exist, and the others."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import data_root_option, format_option, note
from zslbench.errors import (
    DataError,
    Interrupted,
    MissingData,
    PluginError,
    SettingsError,
    UnknownName,
    ZslbenchError,
    did_you_mean,
)
from zslbench.output import echo, write

if TYPE_CHECKING:
    from zslbench_data.download.catalogue import CatalogueEntry
    from zslbench_data.download.presence import Presence

Row = dict[str, Any]

_VECTORS = "vectors"


def note_shadowed(name: str, data_root: Path | None) -> None:
    """Tell the user if a plugin registers a data set with the name of a folder."""
    from zslbench.data import shadowed_note
    from zslbench.plugin import registry

    for one in registry().components("dataset"):
        if one.name == name.strip().lower() and (text := shadowed_note(one, data_root)):
            note(text)


_REGIONS = (
    "Region features are read from a region store or from an HDF5 file in the layout of DAZLE and SC-EGG,",
    "in the data set's folder, its folder 'regions', or 'region_features' next to it; --regions selects one.",
)


@click.command("list")
@data_root_option
@format_option
def list_(data_root: Path | None, fmt: str) -> None:
    """List data sets: those of the catalogue, and folders under the data root.

    The column "runs" says which methods can run: those on global features need splits and features, those on
    region features also regions and word vectors. "zslbench data info NAME" names the methods.
    Simulated data sets need no files; "zslbench datasets" lists them.
    """
    from zslbench.data import data_root as choose_root, dataset_folders, dataset_name, misnamed_folders
    from zslbench.plugin import registry
    from zslbench.report import emit
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.presence import Presence

    root = choose_root(data_root)
    for text in misnamed_folders(root):
        note(text)
    rows: list[Row] = []
    for name in dict.fromkeys([*catalogue().datasets, *dataset_folders(root)]):
        there = Presence(root, name)
        entry = there.entry
        kinds = {"features": "global features", "regions": "regions", "images": "images"}
        able = [kind for inputs, kind in kinds.items() if not there.lacks(inputs)]
        runs = "all" if len(able) == len(kinds) else f"those on {' and '.join(able)}" if able else "none"
        rows.append(
            {
                "dataset": dataset_name(registry(), name),
                **{key: entry and entry.counts[key] for key in ("classes", "images", "attributes")},
                "on disk": there.found,
                "missing": there.missing,
                "runs": runs,
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
    from zslbench.data import (
        FOLDER,
        SPLITS_FILE,
        data_root as choose_root,
        dataset_folders,
        dataset_name,
        find_folder,
        is_complete,
    )
    from zslbench.plugin import registry
    from zslbench.report import emit, json_text
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.presence import Presence

    root = choose_root(data_root)
    there, folder = Presence(root, name), find_folder(root, name)
    if there.entry is None and (folder is None or not is_complete(folder)):
        reason = did_you_mean(there.name, {*catalogue().datasets, *dataset_folders(root)})
        if folder is not None:
            reason = f"the folder {folder} has no file {SPLITS_FILE}"
        raise UnknownName(f"no data set '{name}' in the catalogue or under {root}, {reason}")
    note_shadowed(name, data_root)
    run = there.name if there.name.startswith(FOLDER) else dataset_name(registry(), there.name)
    about: Row = {**_about(there), "dataset": run}
    archives, files = list(_archives(there.entry, root)), list(_files(there))
    following = [*there.next_steps(there.missing), f"zslbench run METHOD --dataset {shlex.quote(run)}"]
    if fmt == "json":
        write(json_text({**about, "archives": archives, "files": files, "next": following}))
        return
    emit([{"": key, "value": value} for key, value in about.items()], fmt, title="")
    if fmt == "csv":
        return
    if archives:
        echo()
        shown = ("archive", "for", "size", "here", "licence", "holds")
        emit([{key: one[key] for key in shown} for one in archives], fmt, title="archives")
        echo()
        for one in archives:
            echo(f"{one['archive']}, checksum {one['checksum']}, page {one['page']}")
            for address in one["addresses"]:
                echo(f"  {address}")
    if files:
        echo()
        emit(files, fmt, title="files")
    echo("", "next:")
    for line in following:
        echo(f"  {line}")
    echo("", *_REGIONS)


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
    from zslbench.data import PARTS, Findings, FolderContents, label_files
    from zslbench.evaluation import protocol_notes

    labels = next(label_files(folder, Findings(), names=False, unreadable="warning"), None)
    contents = FolderContents(folder, labels)
    if not contents.variables:
        contents.findings.raise_errors(folder)
    described = contents.unchecked("att")
    notes = [] if described is None else protocol_notes(described)
    sizes = {part: len(rows) for part, rows in contents.parts.items()}
    images = sum(sizes.values()) if len(sizes) == len(PARTS) else None
    shape = (None, None) if contents.semantics is None else contents.semantics.shape
    counts = {"images": images, "classes": shape[0], "attributes": shape[1]}
    counts |= {part: sizes.get(part) for part in PARTS}
    return {**counts, **({"evaluation": notes} if notes else {})}


def _semantics(there: Presence) -> list[str]:
    """What ``--semantics`` accepts, with explanations."""
    from zslbench.data import SPLITS_FILE, mat_variables, named_semantics

    if not there.splits:
        return []
    try:
        variables = mat_variables(there.folder / SPLITS_FILE)
    except DataError as error:
        return [str(error)]
    kind = there.entry.semantics if there.entry else "class semantics"
    explained = {"att": f"{kind}, unit length in the official files", "original_att": "as rated"}
    found = [f"{one} ({text})" for one, text in explained.items() if one in variables]
    found += ["sentence (sentence embeddings)"] if there.sentences else []
    return found + named_semantics(there.folder)


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


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--what",
    default="splits,names",
    show_default=True,
    metavar="PART,...",
    help="Which parts: splits (with ResNet-101 features), names (of attributes), images.",
)
@click.option("--images", is_flag=True, help="Also get the images.")
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    help="URL to try first: a folder of archives, or one archive. Repeatable.",
)
@click.option("--offline", is_flag=True, help="Download nothing; use the archives in the data root.")
@click.option("--force", is_flag=True, help="Download and unpack again, replacing existing files.")
@click.option(
    "--keep-archives/--no-keep-archives",
    default=True,
    show_default=True,
    help="Whether to keep archives in <data root>/archives, to share them between data sets.",
)
@click.option(
    "--source",
    default="glove",
    show_default=True,
    metavar="glove|glove-840b|FILE",
    help="With vectors: GloVe, a word2vec or GloVe file (also .gz, .zip), or a precomputed .npy array.",
)
@click.option(
    "--dataset", "datasets", multiple=True, help="With vectors: only for this data set; repeatable."
)
@click.option(
    "--rule",
    type=click.Choice(["sum", "mean"]),
    help="With vectors: how multi-word names are combined.  [default: mean for GloVe, sum for files]",
)
@click.option("--allow-missing", is_flag=True, help="With vectors: use zeros if no word of a name is known.")
@data_root_option
def get(
    names: tuple[str, ...],
    what: str,
    images: bool,
    mirrors: tuple[str, ...],
    offline: bool,
    force: bool,
    keep_archives: bool,
    source: str,
    datasets: tuple[str, ...],
    data_root: Path | None,
    **combining: Any,
) -> None:
    """Download data sets (cub, sun, awa1, awa2, apy, flo) and word vectors (vectors) to the data root.

    Existing files are kept; an interrupted download is resumed.
    """
    from zslbench.data import data_root as choose_root
    from zslbench_data.download.archives import ARCHIVES, Fetcher
    from zslbench_data.download.catalogue import catalogue
    from zslbench_data.download.get import get_part
    from zslbench_data.progress import Display

    known, parts = catalogue(), _parts(what, images)
    lower = [one.lower() for one in names]
    entries = [known.entry(one) for one in lower if one != _VECTORS]
    if _VECTORS not in lower and (datasets or any(combining.values())):
        raise SettingsError("--dataset, --rule and --allow-missing are options of zslbench data get vectors")
    root = choose_root(data_root)
    fetcher = Fetcher(root / ARCHIVES, mirrors, offline, force, Display())

    def get_one(entry: CatalogueEntry, part: str) -> Iterator[str]:
        yield f"{entry.name} {part}: {get_part(entry, part, root, fetcher)}"

    def vectors() -> Iterator[str]:
        from zslbench_data.words.attributes import get_vectors

        chosen = _for_vectors(datasets, entries, root)
        for one in chosen:
            note_shadowed(one, data_root)
        texts = get_vectors(known, root, chosen, source, fetcher, **combining)
        yield from (f"{dataset} vectors: {text}" for dataset, text in texts.items())

    jobs = [get_one(entry, part) for entry in entries for part in parts]
    if _VECTORS in lower:
        jobs.append(vectors())
    failures: list[ZslbenchError] = []  # reported at the end, when everything else is done
    try:
        for job in jobs:
            try:
                for line in job:
                    echo(line)
            except ZslbenchError as error:
                failures.append(error)
        if not keep_archives:
            fetcher.remove_downloaded()
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command resumes from here") from None
    for failure in failures[:-1]:
        echo(f"Error: {failure}", err=True)
    if failures:
        raise failures[-1]


def _for_vectors(datasets: tuple[str, ...], entries: list[CatalogueEntry], root: Path) -> tuple[str, ...]:
    """The data sets to make vectors for: as requested, else every one that has attribute names."""
    from zslbench.data import ATTRIBUTE_NAMES, dataset_folders, sidecar

    chosen = datasets or tuple(one.name for one in entries if _VECTORS not in one.never)
    chosen = chosen or tuple(
        key for key, one in dataset_folders(root).items() if sidecar(one, ATTRIBUTE_NAMES)
    )
    if not chosen:
        advice = "Get some first: zslbench data get sun --what names"
        raise MissingData(root, ["no data set has attribute names"], advice)
    return chosen


def _parts(what: str, images: bool) -> tuple[str, ...]:
    from zslbench_data.download.catalogue import DOWNLOAD_PARTS

    requested = [one.strip().lower() for one in what.split(",") if one.strip()]
    for one in requested:
        if one not in DOWNLOAD_PARTS:
            raise SettingsError(f"--what {what}: no part '{one}', {did_you_mean(one, DOWNLOAD_PARTS)}")
    return tuple(one for one in DOWNLOAD_PARTS if one in requested or (images and one == "images"))
