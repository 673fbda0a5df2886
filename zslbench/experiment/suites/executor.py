"""The interface of executors, which start workers for the groups of a submission and wait for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import ClassVar

from zslbench.errors import SettingsError, ZslbenchError
from zslbench.experiment.options import RunOptions
from zslbench.experiment.suites.submission import Submission
from zslbench.plugin.lookup import Registry
from zslbench.plugin.targets import load_extra

Watch = Callable[[Submission], bool]
"""Reads the states of a submission and shows them; returns whether each group has ended."""


class RunExecutor(ABC):
    """Computes the groups of a submission in worker processes, here or elsewhere.

    A worker is the process of :meth:`Submission.command`. It needs nothing but the store, and can be killed
    and started again at any time: finished runs are in the store, others resume from their checkpoints. It
    stops at the next checkpoint on SIGTERM, SIGUSR1 or SIGUSR2, and then exits with 130. Exit code 0: each of
    its groups has ended, even if runs in it have failed; any other: the worker itself failed.

    Args:
        options: as the user gave them; :attr:`RunOptions.executor_options` has those of this executor alone.

    Raises:
        SettingsError: options that it does not have, or that contradict each other.
    """

    remote: ClassVar[bool] = False
    """Whether workers run on other machines, so that this one need not have their GPUs."""

    gpus: tuple[str, ...] = ()
    """``CUDA_VISIBLE_DEVICES`` of workers on GPUs of this machine, one after the other."""

    def __init__(self, options: RunOptions) -> None:
        self.options = options

    def worker_options(self) -> RunOptions:
        """The options as workers have them. Device and threads are part of a run's identity, so they are
        decided before anything is planned."""
        return self.options

    def preview(self, submission: Submission) -> Iterable[str]:
        """What ``--dry-run`` shows of the submission, a line each; nothing is written."""
        return ()

    @abstractmethod
    def execute(self, submission: Submission, watch: Watch, say: Callable[[str], None]) -> None:
        """Write the submission, start workers, and call ``watch`` about once a second until all has ended.

        Args:
            submission: not written yet. Instead of it, an earlier one of the same command may be watched.
            say: shows the user a line.

        Raises:
            Interrupted: on request, before the end; says what happens to the workers.
            ZslbenchError: workers cannot be started.
        """

    @classmethod
    def queue(cls, submission: Submission) -> Mapping[int, str]:
        """What is known of groups that have not ended beside their states, such as the place in a queue."""
        return {}

    @classmethod
    def cancel(cls, submission: Submission) -> str:
        """Stop the workers of a submission; ZslbenchError if that is not possible from here.

        Returns:
            What was done, for the user; empty: it has no workers left.
        """
        raise ZslbenchError(
            f"submission {submission.name} cannot be cancelled from here: press Ctrl-C in the command that "
            "started it"
        )


def executor_class(name: str, registry: Registry) -> type[RunExecutor]:
    """Import an executor.

    Raises:
        UnknownName: no plugin registers it.
        ZslbenchError: it cannot be imported, or a library that it needs is not installed.
    """
    return load_extra(registry.executor(name), RunExecutor)  # type: ignore[type-abstract]


def requested_executor(options: RunOptions, registry: Registry) -> RunExecutor | None:
    """The executor that a user requests; None: the runs are computed in this process."""
    if options == replace(options, executor="local", executor_options=None, workers=None, gpus=None):
        return None
    registered = registry.executor(options.executor)
    if options.executor_options and not registered.declaration.options:
        raise SettingsError(f"executor '{registered.name}' has no options of its own")
    return executor_class(registered.name, registry)(options)
