"""``zslbench report``, a suite or any runs as one HTML file, and ``zslbench plot``, figures of a run."""

from __future__ import annotations

import logging
import shlex
import sys
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import filter_options, format_option, metrics_option, note, options_of
from zslbench.output import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zslbench.experiment import SuiteOutcome
    from zslbench.report import Filters
    from zslbench.store import Store

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

# --- report --------------------------------------------------------------------------------------


@click.command()
@click.argument("suite", required=False)
@click.option(
    "-o",
    "--output",
    type=_FILE,
    default="report.html",
    show_default=True,
    metavar="FILE.html",
    help="File to write.",
)
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Report this run; repeatable.")
@filter_options
@click.option("--images", type=_FOLDER, help="Folder with the data sets' images, for attention maps.")
@click.option("--without", multiple=True, metavar="SECTION", help="Omit a section, e.g. tsne; repeatable.")
@metrics_option
@options_of("data_root", "store")
def report(
    suite: str | None,
    output: Path,
    runs: tuple[str, ...],
    images: Path | None,
    metrics: str | None,
    without: tuple[str, ...],
    data_root: Path | None,
    store: Path | None,
    filters: Filters,
) -> None:
    """Write a report on a suite, on some runs, or on all matching runs in the store, as one HTML file.

    SUITE is a suite's name or TOML file. The report is self-contained and makes no network requests. Only
    t-SNE and attention are computed, for runs stored with their weights.
    """
    from zslbench.errors import ZslbenchError, did_you_mean
    from zslbench.evaluation import metrics_named
    from zslbench.store import Store, write_atomically
    from zslbench_report.html.page import SECTIONS, page
    from zslbench_report.html.report import Report

    if [suite is not None, bool(runs), bool(filters)].count(True) > 1:
        raise click.UsageError("give SUITE, or --run, or --filter, --method, --dataset and --select")
    sections = [section.id for section in SECTIONS]
    for name in without:
        if name not in sections:
            raise click.UsageError(f"--without {name}: no such section, {did_you_mean(name, sections)}")
    named = metrics_named(metrics)
    _require_folder(output)
    run_store = Store.default(store)
    logger, warnings = logging.getLogger("zslbench"), BufferingHandler(sys.maxsize)
    warnings.setLevel(logging.WARNING)
    logger.addHandler(warnings)
    try:
        outcome = _outcome(suite, runs, filters, run_store, data_root)
    finally:
        logger.removeHandler(warnings)
    if not outcome.records:
        if suite is None:
            for text in filters.whole_folders(run_store.records()):
                note(text)
            raise ZslbenchError("no such run in the store; zslbench run METHOD --dataset NAME creates one")
        text = f"the report has no finished run: zslbench bench {suite} computes them"
        if others := _other_runs(run_store, outcome):
            text += (
                f" (the store has {others} runs of its methods with other settings, data or plugin versions; "
                "zslbench report without a suite shows them)"
            )
        note(text)
    made = Report(
        outcome,
        run_store,
        command=_command_line(click.get_current_context().params),
        metrics=named,
        data_root=data_root,
        images=images,
        without=frozenset(without),
        faults=list(dict.fromkeys(one.getMessage() for one in warnings.buffer)),
    )
    write_atomically(output, page(made).encode())
    for fault in made.faults:
        note(fault)
    echo(str(output))


def _outcome(
    suite: str | None,
    runs: tuple[str, ...],
    filters: Filters,
    store: Store,
    data_root: Path | None,
) -> SuiteOutcome:
    """The table of a suite, of runs by id, or of all runs that match, as far as the store has them."""
    from zslbench.experiment import find_suite, suite_outcome
    from zslbench.plugin import registry
    from zslbench_report.html.report import outcome_of_runs

    if suite is not None:
        return suite_outcome(find_suite(suite), store, registry(), data_root=data_root)
    if runs:
        records = list({record.info.id: record for record in map(store.resolve, runs)}.values())
        return outcome_of_runs(records, f"{len(records)} runs" if len(records) > 1 else "One run")
    given = click.get_current_context().params
    words = [
        text.format(given[name])
        for name, text in (("method", "of {}"), ("dataset", "on {}"), ("selection", "selected by {}"))
        if given[name]
    ]
    words += [f"with {', '.join(given['texts'])}"] * bool(given["texts"])
    title = " ".join(["Runs", *words]) if words else "All runs in the store"
    return outcome_of_runs(filters.finished(store.records()), title, filters.split_sets)


def _command_line(given: Mapping[str, Any]) -> str:
    """The command that makes the report, without paths of this machine, which the file must not disclose.

    Args:
        given: the parameters of the command line.
    """
    options = [("run", run) for run in given["runs"]]
    options += [("filter", text) for text in given["texts"]]
    options += [(name, given[name]) for name in ("method", "dataset") if given[name]]
    options += [("select", given["selection"])] * bool(given["selection"])
    options += [("metrics", given["metrics"])] * bool(given["metrics"])
    options += [("images", "FOLDER")] * (given["images"] is not None)
    options += [("without", section) for section in sorted(given["without"])]
    words = [word for name, value in options for word in (f"--{name}", value)]
    if suite := given["suite"]:
        words = [Path(suite).name if Path(suite).is_absolute() else suite, *words]
    return shlex.join(["zslbench", "report", *words])


def _other_runs(store: Store, outcome: SuiteOutcome) -> int:
    """How many runs have the suite's methods, data sets and selections without belonging to it."""
    methods = {line.method for line in outcome.lines}
    infos = [record.info for record in store.records() if record.info.method in methods]
    return sum(one.dataset in outcome.datasets and one.selection in outcome.selections for one in infos)


def _require_folder(path: Path) -> None:
    """Refuse a file whose folder does not exist, before anything is computed."""
    from zslbench.errors import SettingsError

    if not path.absolute().parent.is_dir():
        raise SettingsError(f"{path}: its folder {path.parent} does not exist")


# --- plot ----------------------------------------------------------------------------------------


_RUN = click.argument("run_id", metavar="RUN")
_OUTPUT = click.option(
    "-o", "--output", type=_FILE, metavar="FILE", help="PNG or SVG file to write.  [default: KIND-RUN.png]"
)
_REGIONS = click.option(
    "--regions", metavar="NAME|PATH", help="The run's region features, if they have moved."
)


def _count_option(flag: str, default: int, least: int, most: int, text: str) -> Callable[..., Any]:
    return click.option(flag, type=click.IntRange(least, most), default=default, show_default=True, help=text)


@click.group()
def plot() -> None:
    """Figures of a finished run, made with --keep-weights."""


@plot.command()
@click.option(
    "--images",
    type=_FOLDER,
    help="Folder with the data set's images; without it, region activations are shown instead.",
)
@click.option(
    "--image",
    "rows",
    type=click.IntRange(0, 2**31 - 1),
    multiple=True,
    metavar="ROW",
    help="Show this image; repeatable.",
)
@_count_option("--count", 4, 1, 50, "Number of test images.")
@_count_option("--top", 8, 1, 20, "Number of attributes per image.")
@click.option(
    "--attribute-names",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Names of the attributes, one per line.",
)
@_RUN
@_OUTPUT
@_REGIONS
@options_of("data_root", "store")
@format_option
def attention(
    run_id: str,
    attribute_names: Path | None,
    output: Path | None,
    store: Path | None,
    fmt: str,
    **options: Any,
) -> None:
    """Where the embedding looks: an overall map, and maps of the attributes with the highest scores.

    RUN may be a shortened id.
    """
    from zslbench.store import Store
    from zslbench_report.plots.attention import compute, figure
    from zslbench_report.plots.canvas import check_plot_file, save
    from zslbench_report.plots.images import read_attribute_names

    record = Store.default(store).resolve(run_id)
    path = output or Path(f"attention-{record.info.id}.png")
    check_plot_file(path)
    _require_folder(path)
    names = None if attribute_names is None else read_attribute_names(attribute_names)
    save(figure(record, compute(record, attribute_names=names, notify=note, **options)), path)
    _list_files([path], fmt)


@plot.command()
@click.option(
    "--baseline",
    metavar="RUN",
    help="A run on the same images whose generator works on backbone features, as tf-vaegan's does.",
)
@_count_option("--classes", 10, 2, 20, "Classes, half of them unseen.")
@_count_option("--per-class", 50, 1, 1_000_000, "Test images (at most) and synthetic features per class.")
@_count_option("--seed", 0, 0, 2**32 - 1, "Seed for the choice of images, noise and t-SNE.")
@click.option("--data-out", type=_FILE, metavar="FILE.csv", help="Also write the points as CSV.")
@_RUN
@_OUTPUT
@_REGIONS
@options_of("data_root", "store")
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

    RUN and --baseline may be shortened ids.
    """
    from zslbench.report import csv_safe, render
    from zslbench.store import Store, write_atomically
    from zslbench_report.plots.canvas import check_plot_file, save
    from zslbench_report.plots.tsne import compute, figure, frame

    runs = Store.default(store)
    record = runs.resolve(run_id)
    other = None if baseline is None else runs.resolve(baseline)
    path = output or Path(f"tsne-{record.info.id}.png")
    check_plot_file(path)
    paths = [path] if data_out is None else [path, data_out]
    for one in paths:
        _require_folder(one)
    panels = compute(record, baseline=other, notify=note, **options)
    save(figure(record, panels), path)
    if data_out is not None:
        with csv_safe():
            write_atomically(data_out, render(frame(panels), "csv").encode())
    _list_files(paths, fmt)


def _list_files(paths: list[Path], fmt: str) -> None:
    """Print the files written, and nothing else."""
    from zslbench.report import emit

    if fmt == "terminal":
        echo(*map(str, paths))
    else:
        emit([{"file": str(path)} for path in paths], fmt)
