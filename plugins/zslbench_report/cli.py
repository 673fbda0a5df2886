"""``zslbench report``: a suite, or any runs, as one HTML file."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zslbench.cli.options import data_root_option, note, store_option

if TYPE_CHECKING:
    from zslbench.experiment import SuiteOutcome
    from zslbench.plugin.lookup import Registry
    from zslbench.store.store import Store


@click.command()
@click.argument("suite", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    metavar="FILE.html",
    help="The file to write.",
)
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Report this run; repeatable.")
@click.option("--method", help="Without SUITE: only this method.")
@click.option("--dataset", help="Without SUITE: only this data set.")
@click.option(
    "--select", type=click.Choice(["val", "last", "oracle"]), help="Without SUITE: only this selection."
)
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the data sets' pictures, below the maps of attention.",
)
@click.option("--without", multiple=True, metavar="SECTION", help="Leave a section out, as tsne; repeatable.")
@data_root_option
@store_option
def report(
    suite: str | None,
    output: Path,
    runs: tuple[str, ...],
    method: str | None,
    dataset: str | None,
    select: str | None,
    images: Path | None,
    without: tuple[str, ...],
    data_root: Path | None,
    store: Path | None,
) -> None:
    """Write a report of a suite, of some runs, or of all runs in the store, as one HTML file.

    SUITE is a suite's name or TOML file. The report holds everything that it shows and asks for nothing over
    the network; nothing is computed but t-SNE and attention, of runs that kept their weights.
    """
    from zslbench.errors import SettingsError, ZslbenchError, did_you_mean
    from zslbench.plugin.discovery import registry
    from zslbench.store.files import write_whole
    from zslbench.store.store import Store
    from zslbench_report.html.page import page, section_ids
    from zslbench_report.html.subject import Options, Subject

    if suite is not None and (runs or method or dataset or select):
        raise click.UsageError("give SUITE, or --run, or --method, --dataset and --select")
    if runs and (method or dataset or select):
        raise click.UsageError("give --run, or --method, --dataset and --select")
    for name in without:
        if name not in section_ids():
            raise click.UsageError(f"--without {name}: no such section, {did_you_mean(name, section_ids())}")
    if not output.absolute().parent.is_dir():
        raise SettingsError(f"{output}: there is no folder {output.parent} to write it to")
    where, known = Store.default(store), registry()
    with _warnings() as told:
        outcome = _outcome(where, known, suite, runs, method, dataset, select, data_root)
    if not outcome.records:
        others = _others(where, outcome)
        note(
            "the report has no finished run"
            + (f": zslbench bench {suite} computes them" if suite else "")
            + (
                f" (the store has {others} of its methods with other settings, data or versions of plugins; "
                "zslbench report without a suite shows them)"
                if others
                else ""
            )
        )
        if suite is None:
            raise ZslbenchError(
                "there is no such run in the store; zslbench run METHOD --dataset NAME makes one"
            )
    options = Options(
        command=_command(suite, runs, method, dataset, select, images, without),
        data_root=data_root,
        images=images,
        without=frozenset(without),
    )
    subject = Subject(outcome, options, where, known, faults=list(told))
    write_whole(output, page(subject).encode())
    for fault in subject.faults:
        note(fault)
    click.echo(output)


def _others(where: Store, outcome: SuiteOutcome) -> int:
    """How many runs there are of the same methods, data sets and selections, which are not the suite's."""
    methods = {line.method for line in outcome.lines}
    return sum(
        one.info.method in methods
        and one.info.dataset in outcome.datasets
        and one.info.selection in outcome.selections
        for one in where.records()
    )


def _outcome(
    where: Store,
    known: Registry,
    suite: str | None,
    runs: tuple[str, ...],
    method: str | None,
    dataset: str | None,
    select: str | None,
    data_root: Path | None,
) -> SuiteOutcome:
    from zslbench.experiment import find_suite, suite_outcome
    from zslbench_report.html.gather import outcome_of_runs

    if suite is not None:
        return suite_outcome(find_suite(suite), where, known, data_root=data_root)
    if runs:
        found = {one.info.id: one for one in map(where.resolve, runs)}
        return outcome_of_runs(
            list(found.values()), "", f"{len(found)} runs" if len(found) > 1 else "One run"
        )
    records = [
        one
        for one in where.records()
        if (method is None or one.info.method == method)
        and (dataset is None or one.info.dataset == dataset)
        and (select is None or one.info.selection == select)
    ]
    words = [one for one in (method, dataset and f"on {dataset}", select and f"selected by {select}") if one]
    return outcome_of_runs(records, "", f"Runs of {' '.join(words)}" if words else "All runs of the store")


def _command(
    suite: str | None,
    runs: tuple[str, ...],
    method: str | None,
    dataset: str | None,
    select: str | None,
    images: Path | None,
    without: tuple[str, ...],
) -> str:
    """The command line without places of this machine, so that the file tells of none."""
    named = [Path(suite).name if Path(suite).is_absolute() else suite] if suite else []
    words = ["zslbench", "report", *named]
    for option, values in (("--run", runs), ("--method", [method]), ("--dataset", [dataset])):
        words += [word for value in values if value for word in (option, value)]
    words += ["--select", select] if select else []
    words += ["--images", "FOLDER"] if images else []
    words += [word for name in sorted(without) for word in ("--without", name)]
    return shlex.join(words)


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What the library warns of meanwhile (a damaged run that was skipped), for the report to tell."""
    told: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if (text := record.getMessage()) not in told:
                told.append(text)

    handler, logger = Collect(logging.WARNING), logging.getLogger("zslbench")
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)
