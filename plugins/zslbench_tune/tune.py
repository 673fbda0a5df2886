"""Search settings on validation images: ``zslbench.tune("tf-vaegan", dataset="cub", trials=50)``."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.errors import SettingsError, ZslbenchError, did_you_mean
from zslbench.experiment import MachineOptions, SearchOptions, takes
from zslbench_tune.space import SearchSpec

if TYPE_CHECKING:
    from zslbench.experiment import Display, RunExecutor, Submission
    from zslbench_tune.result import Tuning
    from zslbench_tune.search import Search
    from zslbench_tune.study import Study

_STOP_SECONDS = 60.0
"""How long a worker process may take to stop at a checkpoint before it is killed."""


@takes(SearchOptions)
def tune(
    method: str | None = None,
    *,
    dataset: str,
    trials: int = 20,
    search: Mapping[str, SearchSpec] | None = None,
    seeds: int | Sequence[int] = 1,
    variant: str | None = None,
    embedding: str | None = None,
    generator: str | None = None,
    classifier: str | None = None,
    validation_splits: int = 1,
    journal: str | Path | None = None,
    output: str | Path | None = None,
    workers: int | None = None,
    gpus: str | None = None,
    sampler: str = "tpe",
    sampler_seed: int = 0,
    pruner: str = "none",
    executor: str = "local",
    executor_options: Mapping[str, str] | None = None,
    display: Display | None = None,
    **options: Any,
) -> Tuning:
    """Search settings of a method or a composition; the best on validation images become a preset.

    A trial fits the method on validation folds only. Its value is H there (Acc for a method without GZSL),
    averaged over validation splits and seeds, at the epoch with the best average. The final fold is never
    made, so no test image can affect the search. The same call resumes an interrupted search, and several
    processes can share a study.

    Args:
        method: a registered method; None: a composition of ``embedding``, ``generator`` and ``classifier``.
        trials: finished trials of the whole study, earlier ones included.
        search: the space, ``{"generator.lr": "1e-5:1e-3:log", "generator.hidden": [256, 512]}``; None: the
            method's ``tunable``, else its ``search``; of a composition, the ``tunable`` settings of its
            components on which all methods with the component agree.
        seeds: a number n for seeds 0 to n-1, or a list of seeds.
        validation_splits: how many validation splits of trainval each trial is fitted and judged on:
            the data set's own, then others with as many validation classes, the same in every search
            (:mod:`zslbench_tune.splits`).
        journal: the study's file; None: one in the store for exactly this search.
        output: the preset's file; None: next to the study.
        workers: processes that compute trials, including this one unless an executor runs them; None: one,
            or one for each of ``gpus``.
        gpus: GPUs of this machine, such as ``"0,1"``; workers are spread over them in turn.
        sampler: ``tpe`` or ``random``. With one worker, the same search tries the same settings.
        pruner: ``none``, or ``median``: end trials early that are below the median at the same epoch.
        executor: ``local``, ``gpus`` (every GPU of this machine), or one that runs the workers on other
            machines, such as ``slurm``, with its own ``executor_options``. This process then only waits, and
            the same call attaches to its workers.

        options: those of :func:`zslbench.run` except ``replicas`` and ``track``. ``settings`` apply to every
            trial. ``epochs`` is the length of the schedule: every trial is trained that long, and its best
            epoch is part of the result.

    Raises:
        MissingExtra: Optuna is not installed.
        SettingsError: the study's file belongs to another search, or the space does not fit the method.
        ZslbenchError: no trial has a value, or anything else that the caller can correct.
        Interrupted: stopped on request; the same call resumes the search.
    """
    from zslbench.experiment import Quiet, RunOptions, requested_executor, stop_requests
    from zslbench.plugin import registry
    from zslbench_tune.result import Tuning, check_output, write_preset
    from zslbench_tune.search import Sampling, resolve_search
    from zslbench_tune.study import PRUNERS, SAMPLERS, open_study

    for name, value, known in (("sampler", sampler, SAMPLERS), ("pruner", pruner, PRUNERS)):
        if value not in known:
            raise SettingsError(f"{name} '{value}', {did_you_mean(value, known)}")
    if min(trials, 1 if workers is None else workers) < 1:
        raise SettingsError(f"{trials} trials on {workers} workers: both must be at least 1")
    display = display or Quiet()
    asked = RunOptions(executor=executor, executor_options=executor_options, gpus=gpus, **_machine(options))
    found = requested_executor(asked, registry())
    remote = found if found is not None and found.remote else None
    pinned = found.gpus if found is not None and remote is None else ()
    if found is not None and remote is None and not pinned:
        raise SettingsError(
            f"executor '{executor}': a search on this machine takes --workers or --gpus instead"
        )
    places: Sequence[str | None] = pinned or [None]
    workers = workers or len(places)
    if remote is not None:
        options |= _machine(vars(remote.worker_options()))
    sampling = Sampling(trials, sampler, sampler_seed, pruner)
    arguments: dict[str, Any] = {
        "method": method, "dataset": dataset, "search": search, "seeds": seeds, "variant": variant,
        "components": {"embedding": embedding, "generator": generator, "classifier": classifier},
        "journal": journal, "validation_splits": validation_splits, **options,
    }  # fmt: skip
    others: Any = functools.partial(resolve_search, sampling=sampling, **arguments)
    resolving = others
    if found is not None and pinned:
        others = functools.partial(others, device="cuda")
        # CUDA may have started in this process: too late to hide GPUs from it.
        first = (found.options.gpus or "0").split(",")[0].strip()
        resolving = functools.partial(others, device=f"cuda:{first}")
    resolved = resolving(display, elsewhere=remote is not None)
    preset = (Path(output) if output else resolved.file.with_suffix(".toml")).expanduser().absolute()
    with open_study(resolved) as study:
        check_output(preset, resolved.name)
        several = f" on {resolved.judged_on}" if validation_splits > 1 else ""
        display.say(f"search {resolved.name}{several}: {resolved.space}")
        if remote is not None:
            arguments |= {"sampling": vars(sampling), "journal": str(resolved.file)}
            _run_remotely(remote, workers, study, arguments, display.say)
        else:
            with (
                stop_requests(display.say) as resolved.stop_requested,
                _worker_processes([places[number % len(places)] for number in range(1, workers)], others),
            ):
                study.compute()
        results = study.results()
    resolved.job.require_sound_data()
    best = write_preset(preset, resolved, results)
    key, space = resolved.metric.key, resolved.space.as_dict()
    return Tuning(resolved.name, key, tuple(results), best, preset, resolved.file, space, validation_splits)


def _machine(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that are :class:`MachineOptions`."""
    return {one.name: options[one.name] for one in fields(MachineOptions) if one.name in options}


def _run_remotely(
    executor: RunExecutor,
    workers: int,
    study: Study,
    arguments: Mapping[str, Any],
    say: Callable[[str], None],
) -> None:
    """Let an executor run workers until the study has enough trials.

    Raises:
        ZslbenchError: all of them have ended before that.
    """
    from zslbench.experiment import Submission

    if study.is_complete():
        return
    store, name = executor.options.open_store(), f"tune-{study.search.name}"
    submission = Submission.of_workers(
        store, name, executor.options, "zslbench_tune.worker", arguments, workers
    )

    def watch(watched: Submission) -> bool:
        states = watched.states().values()
        return study.is_complete() or sum(one.state == "ended" for one in states) == len(watched.groups)

    executor.execute(submission, watch, say)
    if not study.is_complete():
        raise ZslbenchError(
            f"{submission.name}: its workers ended before the study had enough trials; 'zslbench jobs --all' "
            "shows why, and the same command continues"
        )


@contextlib.contextmanager
def _worker_processes(gpus: Sequence[str | None], resolving: Callable[[Display], Search]) -> Iterator[None]:
    """Let more processes compute trials of the study; an exception in the context stops them.

    Args:
        gpus: ``CUDA_VISIBLE_DEVICES`` for each process; None: as in this one.

    They print nothing; this process reports their trials.
    """
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_work, args=(resolving, gpu), daemon=True) for gpu in gpus]
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


def _work(resolving: Callable[[Display], Search], gpu: str | None) -> None:
    from zslbench.experiment import Quiet, stop_requests
    from zslbench_tune.study import open_study

    if gpu is not None:  # nothing has asked for a GPU yet in this process
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    try:
        with stop_requests(Quiet().say) as stopped:
            search = resolving(Quiet())
            search.stop_requested = stopped
            with open_study(search) as study:
                study.compute()
    except ZslbenchError as error:  # the main process was stopped too, or reports the error itself
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
