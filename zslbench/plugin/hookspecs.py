"""Every hook of zslbench, and the interface of trackers. A plugin marks its hooks with
``@zslbench.hookimpl``.

A plugin is a module named by an entry point in the group ``zslbench``. Importing that module must stay cheap:
no torch, no data, no side effects.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pluggy import HookimplMarker, HookspecMarker

if TYPE_CHECKING:
    from zslbench.plugin.declarations import Command, Component, Executor, Method, Tracker
    from zslbench.store.record import RunInfo, RunRecord

hookspec = HookspecMarker("zslbench")
hookimpl = HookimplMarker("zslbench")


@hookspec
def zslbench_components() -> Iterable[Component]:  # type: ignore[empty-body]
    """Register datasets, extractors, embeddings, generators and classifiers.

    Called: once per process, when a command first needs the plugins.
    Returns: any iterable of ``Component``; a generator function is convenient.
    Forbidden: importing torch; reading data; registering a kind and name that another plugin has (the second
    plugin is then listed as broken).
    """


@hookspec
def zslbench_methods() -> Iterable[Method]:  # type: ignore[empty-body]
    """Register methods: named compositions of components, with presets, readings and variants.

    Called: once per process, after ``zslbench_components`` of every plugin.
    Returns: any iterable of ``Method``. It may name components of other plugins.
    Forbidden: importing torch; reading data; registering a name that another plugin has.
    """


@hookspec
def zslbench_trackers() -> Iterable[Tracker]:  # type: ignore[empty-body]
    """Register trackers, which follow runs when a user requests them with ``--track NAME``.

    Called: once per process, after ``zslbench_methods`` of every plugin.
    Returns: any iterable of ``Tracker``. The class that ``target`` names is imported when it is requested.
    Forbidden: importing torch or the library that the tracker writes to; registering a name that another
    plugin has.
    """


@hookspec
def zslbench_executors() -> Iterable[Executor]:  # type: ignore[empty-body]
    """Register executors, which compute runs in worker processes, for ``--executor NAME``.

    Called: once per process, after ``zslbench_trackers`` of every plugin.
    Returns: any iterable of ``Executor``. The class that ``target`` names is imported when it is requested.
    Forbidden: importing torch or the library that starts the workers; registering a name that another plugin
    has.
    """


@hookspec
def zslbench_commands() -> Iterable[Command]:  # type: ignore[empty-body]
    """Register commands of the command line; ``zslbench --help`` lists them.

    A command, and every command of a group, also accepts ``--debug`` and ``--strict-plugins``. Raise errors
    that a user can cause as ``zslbench.ZslbenchError``: they become one line and an exit code.

    Called: once per process, after ``zslbench_executors`` of every plugin.
    Returns: any iterable of ``Command``. The click command that ``target`` names is imported when it is used.
    Forbidden: importing torch or the command's module; registering a name that another plugin has.
    """


@hookspec
def zslbench_run_details(store: Path, record: RunRecord) -> Iterable[tuple[str, str]]:  # type: ignore[empty-body]
    """Add rows to what ``zslbench show`` prints about a finished run, for example whether it was audited.

    Called: by ``zslbench show``, once; ``store`` is the store's folder.
    Returns: any iterable of pairs of a name and a value, or None.
    Forbidden: changing the store. An exception becomes a warning, and the run is shown without the rows.
    """


@hookspec
def zslbench_run_started(run: RunInfo) -> None:
    """A run starts, or resumes after an interruption (``run.resumed`` is then true).

    Called: in the process that computes the run, before any training; not for a run found in the store.
    Returns: nothing.
    Forbidden: drawing from global random generators; changing ``run``. An exception becomes a warning, and
    the run continues.
    """


@hookspec
def zslbench_epoch_ended(run: RunInfo, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
    """An epoch of a training stage ended.

    Called: after each epoch of each stage (``"final/generator"``, ``"validation/generator"``, ...), with
    ``epoch`` counting from 1. ``metrics`` has the epoch's mean losses and, if the selection rule evaluated
    after this epoch, the validation figures under names that begin with ``"val_"`` (``"test_"`` if it
    uses test images). An evaluation at the end of a schedule follows its last epoch and is only in the
    finished run's ``epochs`` table.
    Returns: nothing.
    Forbidden: as for ``zslbench_run_started``; it must also be quick, since training waits for it.
    """


@hookspec
def zslbench_run_finished(run: RunInfo, record: RunRecord) -> None:
    """A run finished and its files are written.

    Called: once, after the run's folder is in place; ``record`` reads its metrics and tables. ``run.folder``
    is this folder; the ``run`` of earlier calls may name another one, such as that of a run it replaces.
    Returns: nothing.
    Forbidden: changing the run's folder (results are immutable). An exception becomes a warning.
    """


@hookspec
def zslbench_run_stopped(run: RunInfo, error: BaseException) -> None:
    """A run that had started was interrupted or failed.

    Called: after ``zslbench_run_started``, instead of ``zslbench_run_finished``. ``error`` is
    ``zslbench.errors.Interrupted`` or ``KeyboardInterrupt`` if somebody stopped the run, which can then
    resume (``zslbench_run_started`` is called again); otherwise it is what went wrong. Nothing is called when
    the process is killed.
    Returns: nothing.
    Forbidden: as for ``zslbench_run_started``. An exception becomes a warning; ``error`` is raised anyway.
    """


class RunTracker(ABC):
    """Follows the runs of one command. Its methods are called like the lifecycle hooks of the same names.

    Several runs may be in progress at once; each call names its run. A run that was interrupted or killed may
    resume in another process, with the same ``run.id``: a tracker then continues its record and skips epochs
    that it has, since the run's checkpoint may be older. A finished run that is computed again
    (``--force``) is a new attempt. An exception becomes a warning; the run continues.

    Args:
        where: what the user wrote after ``NAME=``; None: nothing. A ZslbenchError about it ends the command
            before its first run.
        folder: the default place, a folder of the store for this tracker; not created yet.
    """

    @abstractmethod
    def __init__(self, where: str | None, folder: Path) -> None: ...

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it writes, for the user."""

    @abstractmethod
    def run_started(self, run: RunInfo) -> None:
        """A run begins or resumes."""

    @abstractmethod
    def epoch_ended(self, run: RunInfo, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch of a stage ended; ``epoch`` counts from 1. Be quick: training waits."""

    @abstractmethod
    def run_finished(self, run: RunInfo, record: RunRecord) -> None:
        """The run's result is in the store."""

    @abstractmethod
    def run_stopped(self, run: RunInfo, error: BaseException, interrupted: bool) -> None:
        """The run ended without a result: it failed, or, if ``interrupted``, was stopped and can resume."""

    def close(self) -> None:
        """The command ends."""
