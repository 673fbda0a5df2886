"""Workers: this process, and further ones of the same command."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zslbench.api import Quiet
from zslbench.errors import ZslbenchError
from zslbench.experiment import Display, stop_requests
from zslbench_tune.objective import Objective
from zslbench_tune.outcome import TrialRow, rows_of
from zslbench_tune.planning import Plan, planned
from zslbench_tune.study import joined
from zslbench_tune.working import take_trials

_PATIENCE = 60.0
"""Seconds that a worker has to stop at a checkpoint before it is ended."""


@dataclass(frozen=True)
class Way:
    """How a study's trials are drawn, and how many; no part of what the study is."""

    trials: int
    sampler: str
    seed: int
    pruner: str


def work(plan: Plan, way: Way, stop_requested: Callable[[], bool], display: Display) -> list[TrialRow]:
    """Be a worker of the plan's study until it has its trials; gives all that are finished.

    Raises:
        Interrupted: stopped on request.
        SettingsError: the journal belongs to another search.
    """
    objective = Objective(
        recipe=plan.recipe,
        dataset=plan.dataset,
        data=plan.data,
        seeds=plan.seeds,
        selection=plan.selection,
        mode=plan.mode,
        folder=plan.checkpoints,
        store=plan.store,
        display=display,
        stop_requested=stop_requested,
    )
    with joined(plan.journal, plan.identity, plan.space, way.sampler, way.seed, way.pruner) as study:
        take_trials(study, objective, way.trials, stop_requested, display, plan.criterion)
        return rows_of(study.trials(), plan.space)


@contextlib.contextmanager
def helping(count: int, asked: Mapping[str, Any], way: Way) -> Iterator[None]:
    """While the context lasts, ``count`` further processes work on the same study.

    They tell nothing themselves: what becomes of their trials is seen in the journal. When the context ends
    with an exception they are asked to stop.

    Args:
        asked: arguments of :func:`zslbench_tune.planning.planned`.
    """
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_help, args=(dict(asked), way), daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()


def _help(asked: Mapping[str, Any], way: Way) -> None:
    quiet = Quiet()
    try:
        with stop_requests(quiet.say) as stopped:
            work(planned(quiet.say, **asked), way, stopped, quiet)
    except ZslbenchError as error:  # the command itself says what is wrong, or was stopped as well
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
