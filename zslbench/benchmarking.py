"""Runs what a suite still needs: ``zslbench.bench("quick")``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.errors import SettingsError

if TYPE_CHECKING:
    from zslbench.experiment.execution.local import Display
    from zslbench.experiment.suites.catalogue import Suite
    from zslbench.experiment.suites.outcome import SuiteOutcome
    from zslbench.experiment.suites.running import Bench, Watcher


def bench(
    suite: str | Path | Suite,
    *,
    methods: str | Sequence[str] | None = None,
    datasets: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    select: str | Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    preset: str | Sequence[str] | None = None,
    data_root: str | Path | None = None,
    store: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    replicas: int | None = None,
    precision: str = "float32",
    graphs: str = "auto",
    only_missing: bool = False,
    retry_failed: bool = False,
    track: str | Sequence[str] | None = None,
    display: Display | None = None,
    watcher: Watcher | None = None,
) -> SuiteOutcome:
    """Run what a suite still needs; finished runs are found again and interrupted ones go on.

    A run that fails is remembered and the others are computed: ``entries`` of the outcome have its message.
    What another process computes at this moment is left to it.

    Args:
        suite: a packaged suite's name, or the path of a TOML file.
        methods, datasets, seeds, select: only this part of it (``seeds``: the first so many, or these).
        settings: as for :func:`zslbench.run`, for every method that has them.
        preset: likewise.
        replicas: how many seeds of a cell are trained together at most, as for :func:`zslbench.run`.
        precision: as for :func:`zslbench.run`; a cell in another precision is another cell.
        only_missing: only cells of which nothing is there, neither finished, failed nor begun.
        retry_failed: run again what failed before.
        watcher: is told of each cell.

    The other arguments are those of :func:`zslbench.run`.

    Raises:
        MissingData: the suite can be run on no data set here, and nothing of it is in the store.
        ZslbenchError: anything else that the caller can put right, before a run begins.
        Interrupted: stopped on request; the same call goes on from there.
    """
    from zslbench.experiment.suites.running import Unwatched

    prepared = prepare(
        suite,
        methods=methods,
        datasets=datasets,
        seeds=seeds,
        select=select,
        settings=settings,
        preset=preset,
        data_root=data_root,
        store=store,
        device=device,
        threads=threads,
        replicas=replicas,
        precision=precision,
        graphs=graphs,
        only_missing=only_missing,
        retry_failed=retry_failed,
        track=track,
        display=display,
    )
    return prepared.run(watcher or Unwatched())


def prepare(
    suite: str | Path | Suite,
    *,
    methods: str | Sequence[str] | None = None,
    datasets: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    select: str | Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    preset: str | Sequence[str] | None = None,
    data_root: str | Path | None = None,
    store: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    replicas: int | None = None,
    precision: str = "float32",
    graphs: str = "auto",
    only_missing: bool = False,
    retry_failed: bool = False,
    track: str | Sequence[str] | None = None,
    display: Display | None = None,
) -> Bench:
    """Settle everything before the first run, which ``run`` of what is returned begins.

    Arguments and errors are those of :func:`bench`.
    """
    from zslbench.api import Quiet
    from zslbench.experiment.datasets import Data
    from zslbench.experiment.execution.mode import choose_mode
    from zslbench.experiment.suites.catalogue import Suite, find_suite
    from zslbench.experiment.suites.plan import Planner
    from zslbench.experiment.suites.resolving import resolve_suite
    from zslbench.experiment.suites.running import Bench, stoppable
    from zslbench.plugin.discovery import registry
    from zslbench.store.store import Store

    if only_missing and retry_failed:
        raise SettingsError("--only-missing leaves failed cells alone and --retry-failed runs them: give one")
    asked = (suite if isinstance(suite, Suite) else find_suite(suite)).narrowed(
        methods=_listed(methods), datasets=_listed(datasets), seeds=seeds, select=_listed(select)
    )
    if settings or preset:
        asked = asked.overridden(settings or {}, preset)
    known, display = registry(), display or Quiet()
    data, mode = Data(data_root, display.say), choose_mode(device, threads, precision, graphs)
    planner = Planner(
        Store.default(store), data, mode, retry_failed, only_missing, tuple(asked.seeds), replicas
    )
    with stoppable(lambda: "stopped before the first run"):
        plan = planner.plan(resolve_suite(asked, known, data_root))
    return Bench(plan, planner, known, display, track)


def _listed(value: str | Sequence[str] | None) -> Sequence[str] | None:
    return [value] if isinstance(value, str) else value
