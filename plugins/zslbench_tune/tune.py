"""Searches settings on the validation split: ``zslbench.tune("tf-vaegan", dataset="cub", trials=50)``."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from zslbench.errors import SettingsError, ZslbenchError, did_you_mean
from zslbench_tune.space import SearchSpec

if TYPE_CHECKING:
    from zslbench.experiment import Display, SearchKeywords
    from zslbench_tune.plan import Plan
    from zslbench_tune.result import TrialRow, Tuning
    from zslbench_tune.study import Sampling

_STOP_SECONDS = 60.0
"""How long a worker process may take to stop at a checkpoint before it is killed."""


def tune(
    method: str,
    *,
    dataset: str,
    trials: int = 20,
    search: Mapping[str, SearchSpec] | None = None,
    seeds: int | Sequence[int] = 1,
    variant: str | None = None,
    journal: str | Path | None = None,
    output: str | Path | None = None,
    workers: int = 1,
    sampler: str = "tpe",
    sampler_seed: int = 0,
    pruner: str = "none",
    display: Display | None = None,
    **options: Unpack[SearchKeywords],
) -> Tuning:
    """Search settings of a method on a data set; the best on the validation split become a preset.

    A trial fits the method on the validation fold only; its value is H there (Acc of a method without GZSL),
    averaged over the seeds, at the epoch that is best on average. The final fold is never made, so no test
    image can affect the search. The same call resumes a search that was stopped, and several processes may
    work on one study.

    Args:
        trials: finished trials of the whole study, earlier ones included.
        search: what is searched, ``{"generator.lr": "1e-5:1e-3:log", "generator.hidden": [256, 512]}``; None:
            what the method declares (``tunable``, else ``search``).
        seeds: a number n for seeds 0 to n-1, or the seeds themselves.
        journal: the study's file; None: one in the store for exactly this search.
        output: the preset's file; None: next to the study's.
        workers: processes that compute trials, this one included.
        sampler: ``tpe`` or ``random``. With one worker, the same search tries the same settings.
        pruner: ``none``, or ``median``: trials below the median at the same epoch end early.

        options: those of :func:`zslbench.run` but ``replicas`` and ``track``. ``settings`` hold in every
            trial; ``epochs`` is the longest schedule: every trial has it, and its best length is part of the
            result.

    Raises:
        MissingExtra: Optuna is not installed.
        SettingsError: the study's file belongs to another search, or the space does not fit the method.
        ZslbenchError: no trial has a value, or anything else that the caller can correct.
        Interrupted: stopped on request; the same call resumes the search.
    """
    planned: dict[str, Any] = {
        "method": method, "dataset": dataset, "search": search, "seeds": seeds, "variant": variant,
        "journal": journal, **options,
    }  # fmt: skip
    from zslbench.experiment import Quiet, stop_requests
    from zslbench_tune.plan import make_plan
    from zslbench_tune.result import Tuning, best_row, check_output, write_preset
    from zslbench_tune.study import PRUNERS, SAMPLERS, Sampling, open_study

    for name, value, known in (("sampler", sampler, SAMPLERS), ("pruner", pruner, PRUNERS)):
        if value not in known:
            raise SettingsError(f"{name} '{value}', {did_you_mean(value, known)}")
    if min(trials, workers) < 1:
        raise SettingsError(f"{trials} trials on {workers} workers: give 1 or more of each")
    display = display or Quiet()
    sampling = Sampling(trials, sampler, sampler_seed, pruner)
    plan = make_plan(display, **planned)
    target = (Path(output) if output else plan.file.with_suffix(".toml")).expanduser().absolute()
    with open_study(plan.file, plan.identity, plan.space):
        check_output(target, plan.name)
    display.say(f"search {plan.name}: {plan.space}")
    with stop_requests(display.say) as stopped, _worker_processes(workers - 1, planned, sampling):
        plan.objective.stop_requested = stopped
        rows = _compute(plan, sampling)
    best = best_row(rows, plan.name)
    write_preset(target, plan, sampling, rows, best)
    return Tuning(plan.name, plan.criterion, tuple(rows), best, target, plan.file, plan.space.as_dict())


def _compute(plan: Plan, sampling: Sampling) -> list[TrialRow]:
    """Compute trials until the study has enough; returns a row for each finished one."""
    from zslbench_tune.result import rows_of
    from zslbench_tune.study import open_study

    with open_study(plan.file, plan.identity, plan.space) as study:
        return rows_of(study.compute(plan.objective, sampling, plan.criterion), plan.space)


@contextlib.contextmanager
def _worker_processes(count: int, planned: Mapping[str, Any], sampling: Sampling) -> Iterator[None]:
    """Within the context, ``count`` further processes work on the same study.

    They print nothing; this process reports their trials. If the context ends with an exception, they are
    asked to stop.
    """
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_work, args=(dict(planned), sampling), daemon=True) for _ in range(count)
    ]
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
            process.join(_STOP_SECONDS)
            if process.is_alive():
                process.kill()


def _work(planned: Mapping[str, Any], sampling: Sampling) -> None:
    from zslbench.experiment import Quiet, stop_requests
    from zslbench_tune.plan import make_plan

    display = Quiet()
    try:
        with stop_requests(display.say) as stopped:
            plan = make_plan(display, **planned)
            plan.objective.stop_requested = stopped
            _compute(plan, sampling)
    except ZslbenchError as error:  # the command itself reports what is wrong, or was stopped as well
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
