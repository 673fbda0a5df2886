"""``zslbench report``: a suite, or any runs, as one HTML file."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zslbench.cli import data_root_option, note, store_option

if TYPE_CHECKING:
    from zslbench.experiment import SuiteOutcome
    from zslbench.plugin import Registry
    from zslbench.store import RunRecord, Store


@dataclass(frozen=True)
class Requested:
    """What to report: a suite, or runs by id, or all runs that match."""

    suite: str | None
    runs: tuple[str, ...]
    method: str | None
    dataset: str | None
    select: str | None

    def __post_init__(self) -> None:
        filtered = self.method or self.dataset or self.select
        if self.suite is not None and (self.runs or filtered):
            raise click.UsageError("give SUITE, or --run, or --method, --dataset and --select")
        if self.runs and filtered:
            raise click.UsageError("give --run, or --method, --dataset and --select")

    def outcome(self, store: Store, plugins: Registry, data_root: Path | None) -> SuiteOutcome:
        """The table of what was requested, as far as the store has it."""
        from zslbench.experiment import find_suite, suite_outcome
        from zslbench_report.html.report import outcome_of_runs

        if self.suite is not None:
            return suite_outcome(find_suite(self.suite), store, plugins, data_root=data_root)
        if self.runs:
            found = {record.info.id: record for record in map(store.resolve, self.runs)}
            title = f"{len(found)} runs" if len(found) > 1 else "One run"
            return outcome_of_runs(list(found.values()), "", title)
        records = [record for record in store.records() if self._matches(record)]
        words = [
            self.method,
            f"on {self.dataset}" if self.dataset else None,
            f"selected by {self.select}" if self.select else None,
        ]
        title = f"Runs of {' '.join(filter(None, words))}" if any(words) else "All runs in the store"
        return outcome_of_runs(records, "", title)

    def _matches(self, record: RunRecord) -> bool:
        info = record.info
        wanted = (self.method, info.method), (self.dataset, info.dataset), (self.select, info.selection)
        return all(given is None or given == actual for given, actual in wanted)

    def command(self, images: Path | None, without: tuple[str, ...]) -> str:
        """The command line, without paths of this machine, so that the file does not disclose them."""
        words = ["zslbench", "report"]
        if self.suite:
            words.append(Path(self.suite).name if Path(self.suite).is_absolute() else self.suite)
        words += [word for run in self.runs for word in ("--run", run)]
        for option in ("method", "dataset", "select"):
            if value := getattr(self, option):
                words += [f"--{option}", value]
        words += ["--images", "FOLDER"] if images else []
        words += [word for section in sorted(without) for word in ("--without", section)]
        return shlex.join(words)


@click.command()
@click.argument("suite", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    metavar="FILE.html",
    help="File to write.",
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
    help="Folder with the data sets' pictures, to draw attention maps over.",
)
@click.option("--without", multiple=True, metavar="SECTION", help="Leave out a section, as tsne; repeatable.")
@data_root_option
@store_option
def report(
    output: Path,
    images: Path | None,
    without: tuple[str, ...],
    data_root: Path | None,
    store: Path | None,
    **requested: Any,
) -> None:
    """Write a report of a suite, of some runs, or of all runs in the store, as one HTML file.

    SUITE is a suite's name or TOML file. The report is self-contained and makes no network requests. Only
    t-SNE and attention are computed, for runs stored with their weights.
    """
    from zslbench.errors import ZslbenchError, did_you_mean
    from zslbench.plugin import registry
    from zslbench.store import Store, write_whole
    from zslbench_report.html.page import page
    from zslbench_report.html.report import Report, ReportOptions
    from zslbench_report.html.sections import SECTIONS

    wanted = Requested(**requested)
    sections = [section.id for section in SECTIONS]
    for name in without:
        if name not in sections:
            raise click.UsageError(f"--without {name}: no such section, {did_you_mean(name, sections)}")
    require_folder(output)
    run_store, plugins = Store.default(store), registry()
    with _collected_warnings() as warnings:
        outcome = wanted.outcome(run_store, plugins, data_root)
    if not outcome.records:
        if wanted.suite is None:
            raise ZslbenchError("no such run in the store; zslbench run METHOD --dataset NAME makes one")
        text = f"the report has no finished run: zslbench bench {wanted.suite} computes them"
        if others := _other_runs(run_store, outcome):
            text += (
                f" (the store has {others} runs of its methods with other settings, data or plugin versions; "
                "zslbench report without a suite shows them)"
            )
        note(text)
    options = ReportOptions(wanted.command(images, without), data_root, images, frozenset(without))
    made = Report(outcome, options, run_store, plugins, faults=warnings)
    write_whole(output, page(made).encode())
    for fault in made.faults:
        note(fault)
    click.echo(output)


def require_folder(path: Path) -> None:
    """Refuse a file whose folder does not exist, before anything is computed.

    Raises:
        SettingsError: its folder does not exist.
    """
    from zslbench.errors import SettingsError

    if not path.absolute().parent.is_dir():
        raise SettingsError(f"{path}: its folder {path.parent} does not exist")


def _other_runs(store: Store, outcome: SuiteOutcome) -> int:
    """How many runs have the suite's methods, data sets and selections without belonging to it."""
    methods = {line.method for line in outcome.lines}
    return sum(
        record.info.method in methods
        and record.info.dataset in outcome.datasets
        and record.info.selection in outcome.selections
        for record in store.records()
    )


@contextmanager
def _collected_warnings() -> Iterator[list[str]]:
    """What the library warns about meanwhile (a damaged run that it skips), for the report's notes."""
    warnings: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if (text := record.getMessage()) not in warnings:
                warnings.append(text)

    handler, logger = Collect(logging.WARNING), logging.getLogger("zslbench")
    logger.addHandler(handler)
    try:
        yield warnings
    finally:
        logger.removeHandler(handler)
