"""zslbench from Python: ``zslbench.run("tf-vaegan", dataset="toy", seeds=3).frame()``.

Importing this module imports torch; ``import zslbench`` does not import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.data.split_sets import find_splits, is_split_set
from zslbench.errors import UnknownName, ZslbenchError
from zslbench.evaluation.selection import Selection
from zslbench.experiment.datasets import DatasetCache
from zslbench.experiment.events import Display, Quiet, tracked
from zslbench.experiment.execution import compute_all
from zslbench.experiment.fitted_run import FittedRun, Notify, load_run
from zslbench.experiment.job import Job, choose_mode, replicas_for, seed_numbers
from zslbench.experiment.options import AllOptions, RunOptions, takes
from zslbench.experiment.recipe import resolve
from zslbench.experiment.suites.cells import SuiteOutcome
from zslbench.experiment.suites.definition import Suite
from zslbench.experiment.suites.executor import requested_executor
from zslbench.experiment.suites.from_options import run_suite
from zslbench.experiment.suites.run import Bench, Watcher, prepare
from zslbench.plugin.discovery import registry
from zslbench.report.over_splits import splits_table
from zslbench.report.results import runs_frame, seeds_table
from zslbench.report.tables.model import Table
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result:
    """The runs of one method on one data set, one per seed, or on several splits of it."""

    records: tuple[RunRecord, ...]
    found: int
    """How many of them were in the store."""
    split_set: str | None = None
    """The name that stands for the splits, such as ``hmdb51/*``; None: a single data set."""

    def frame(self) -> pd.DataFrame:
        """One row per run; figures in percent (Acc, U, S, H, AUSUC; calibrated: U_cal, S_cal, H_cal)."""
        return runs_frame(self.records)

    def summary(self) -> pd.DataFrame:
        """The text of :meth:`as_table`."""
        return self.as_table().frame()

    def as_table(self, title: str = "") -> Table:
        """One row per seed and a last row ``mean ± std``. On several splits: one row per split, averaged over
        its seeds, and a last row over splits."""
        if self.split_set:
            return splits_table(self.split_set, self.records, title)
        return seeds_table(self.records, title)


@takes(AllOptions)
def run(
    method: str | None = None,
    *,
    dataset: str,
    variant: str | None = None,
    embedding: str | None = None,
    generator: str | None = None,
    classifier: str | None = None,
    seeds: int | Sequence[int] = 1,
    select: str = "val",
    force: bool = False,
    keep_weights: bool = False,
    display: Display | None = None,
    watcher: Watcher | None = None,
    **options: Any,
) -> Result:
    """Run a method, or a composition of components, on a data set. Finished runs are reused.

    If ``dataset`` means several splits, a run that fails does not stop the others.

    Until it returns, a run owns the process's standard output, which goes to standard error, and its settings
    (torch's and numpy's, environment variables, signal handlers, ...), which are restored at its end. Other
    threads should neither print nor change settings meanwhile.

    Args:
        method: a registered method; None: a composition of ``embedding``, ``generator`` and ``classifier``.
        dataset: its name; ``hmdb51/*`` means every split in the folder ``HMDB51``.
        variant: one of the method's variants.
        seeds: a number n for seeds 0 to n-1, or the seeds themselves.
        select: ``val``, ``last``, ``oracle`` or ``oracle-scripts`` (:mod:`zslbench.evaluation.selection`).
        force: compute runs that are already in the store again.
        keep_weights: keep the fitted networks with the run.
        watcher: follows the runs if worker processes compute them.
        options: the fields of ``FitOptions`` and ``RunOptions`` (:mod:`zslbench.experiment.options`).

    Raises:
        ZslbenchError: anything that the caller can correct, in one line.
    """
    given = AllOptions(**options)
    known, display = registry(), display or Quiet()
    components = {"embedding": embedding, "generator": generator, "classifier": classifier}
    several = find_splits(dataset, given.data_root).name if is_split_set(dataset) else None
    if several or requested_executor(given, known) is not None:
        prepared = plan(
            method, dataset=dataset, variant=variant, seeds=seeds, select=select, force=force,
            keep_weights=keep_weights, dry_run=False, display=display, **components, **options,
        )  # fmt: skip
        return replace(_run_suite(prepared, watcher), split_set=several)
    recipe = resolve(
        known,
        dataset,
        method=method,
        variant=variant,
        components=components,
        data_root=given.data_root,
        **given.resolved(),
    )
    selection = Selection(select, given.every)  # type: ignore[arg-type]
    numbers, mode, store = seed_numbers(seeds), given.mode(), given.open_store()
    store.prepare()
    loaded, data = DatasetCache(given.data_root, display.say, given.store_check).load(recipe, given.files)
    kept = (keep_weights, given.debug_samples)
    jobs = [Job(recipe, loaded, data, seed, selection, mode, *kept) for seed in numbers]
    replicas = replicas_for(given.replicas, len(jobs), recipe, mode)
    with tracked(known, given.track, store.root, display.say):
        done = compute_all(jobs, replicas, store, known, display, force=force)
    return Result(tuple(record for record, _ in done), sum(found for _, found in done))


def plan(
    method: str | None = None,
    *,
    dataset: str,
    variant: str | None = None,
    embedding: str | None = None,
    generator: str | None = None,
    classifier: str | None = None,
    seeds: int | Sequence[int] = 1,
    select: str = "val",
    force: bool = False,
    keep_weights: bool = False,
    dry_run: bool = True,
    display: Display | None = None,
    **options: Any,
) -> Bench:
    """What :func:`run` would compute with these arguments, as a suite of one line that is ready to run.

    Args:
        dry_run: whether it will only be shown, so that the store need not be writable.

    Raises:
        ZslbenchError: as :func:`run`.
    """
    given = AllOptions(**options)
    components = {"embedding": embedding, "generator": generator, "classifier": classifier}
    suite = run_suite(method, components, variant, dataset, seed_numbers(seeds), select, keep_weights, given)
    own = {name: getattr(given, name) for name in RunOptions.__dataclass_fields__}
    prepared = prepare(
        suite, registry(), retry_failed=True, force=force, dry_run=dry_run, display=display, **own
    )
    for cell in prepared.cells:
        if cell.error is not None:
            raise cell.error
        if cell.resolved is None:
            raise UnknownName(cell.reason)
    return prepared


def _run_suite(prepared: Bench, watcher: Watcher | None) -> Result:
    """The runs of a suite of one line, perhaps computed by an executor."""
    outcome = prepared.run(watcher or Watcher())
    if failed := prepared.failures(outcome):
        raise ZslbenchError("; ".join(failed))
    if left := len(prepared.cells) - len(outcome.records):
        raise ZslbenchError(f"{left} of the runs are being computed by other processes; run it again later")
    return Result(outcome.records, len(outcome.records) - prepared.computed)


def load(
    run: str,
    *,
    store: str | Path | None = None,
    data_root: str | Path | None = None,
    regions: str | None = None,
    semantics: str | None = None,
    device: str = "auto",
    notify: Notify = lambda text: None,
) -> FittedRun:
    """A finished run with its networks and data: ``zslbench.load("1f3a").predict(images="FOLDER")``.

    Args:
        run: its id or the first characters of it; it was stored with ``keep_weights``.
        regions: name or path of the run's region features, or the folder of the pictures that it read; None:
            the name in its record, or the data set's own.
        semantics: name or path of its class semantics; None: the name in its record.
        notify: called with each line that the user should read.

    Raises:
        ZslbenchError: there is no such run, it has no networks, or its data are missing or differ.
    """
    record = Store.default(store).resolve(run)
    mode = choose_mode(device)
    where = mode.device if mode.gpu is None else f"{mode.device}:{mode.gpu}"
    return load_run(record, data_root, regions=regions, semantics=semantics, notify=notify, device=where)


@takes(prepare, RunOptions)
def bench(
    suite: str | Path | Mapping[str, Any] | Suite, *, watcher: Watcher | None = None, **options: Any
) -> SuiteOutcome:
    """Run what a suite still needs. Finished runs are reused and interrupted ones resume.

    A run that fails does not stop the others; ``entries`` of the outcome have its message. Runs that another
    process is computing are left to it.

    Args:
        suite: a packaged suite's name, the path of a TOML file, or a mapping with the keys of such a file.
        options: ``methods``, ``datasets``, ``seeds`` (the first n, or these) and ``select``: only this part
            of the suite. ``settings`` and ``preset``: for every method that has them. ``only_missing``: only
            cells that have never been started; ``retry_failed``: failed ones too; ``any_version``: runs of
            other versions of the code count as finished. And the fields of ``RunOptions``.

    Raises:
        MissingData: none of the suite's data sets is on this machine, and the store has nothing of it.
        ZslbenchError: anything else that the caller can correct, before a run begins.
        Interrupted: stopped on request; the same call resumes.
    """
    return prepare(suite, registry(), **options).run(watcher or Watcher())
