"""Searches settings on the validation split: ``zslbench.tune("tf-vaegan", dataset="cub", trials=50)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.errors import SettingsError, ZslbenchError, did_you_mean
from zslbench_tune.space import Wish

if TYPE_CHECKING:
    from zslbench.experiment import Display
    from zslbench_tune.outcome import TrialRow, Tuning


def tune(
    method: str,
    *,
    dataset: str,
    trials: int = 20,
    search: Mapping[str, Wish] | None = None,
    seeds: int | Sequence[int] = 1,
    variant: str | None = None,
    reading: str | None = None,
    settings: Mapping[str, Any] | None = None,
    preset: str | Sequence[str] | None = None,
    epochs: int | None = None,
    every: int | None = None,
    features: str | None = None,
    semantics: str | None = None,
    regions: str | None = None,
    data_root: str | Path | None = None,
    store: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "float32",
    graphs: str = "auto",
    journal: str | Path | None = None,
    output: str | Path | None = None,
    workers: int = 1,
    sampler: str = "tpe",
    sampler_seed: int = 0,
    pruner: str = "none",
    display: Display | None = None,
) -> Tuning:
    """Search settings of a method on a data set; the best on the validation split become a preset.

    A trial fits the method on the validation fold alone; its value is H there (Acc of a method without GZSL),
    averaged over the seeds, at the epoch that is best on average. The final fold is never made, so no test
    image can have a part in it. The same call goes on where an earlier one was stopped, and several
    processes may work on one study at once.

    Args:
        trials: finished trials of the whole study, earlier ones included.
        search: what is searched, ``{"generator.lr": "1e-5:1e-3:log", "generator.hidden": [256, 512]}``; None:
            what the method declares (``tunable``, else ``search``).
        seeds: a number n for seeds 0 to n-1, or the seeds themselves.
        settings: settings that hold in every trial.
        epochs: the longest schedule; every trial has it, and its best length is part of the result.
        every: epochs between evaluations; None: a twentieth of the schedule.
        journal: the study's file; None: one in the store that belongs to exactly this search.
        output: the preset's file; None: beside the journal.
        workers: processes that compute trials, this one included.
        sampler: ``tpe`` or ``random``. With one worker the same search is the same trials.
        pruner: ``none``, or ``median``: trials end early that are below the median at the same epoch.

    The other arguments are those of :func:`zslbench.run`.

    Raises:
        MissingExtra: Optuna is not installed.
        SettingsError: the journal belongs to another search, or the space is not the method's.
        ZslbenchError: no trial has a value, or anything else that the caller can put right.
        Interrupted: stopped on request; the same call goes on from there.
    """
    asked = {name: value for name, value in locals().items() if name in _OF_THE_PLAN}
    from zslbench.api import Quiet
    from zslbench.experiment import stop_requests
    from zslbench_tune.optuna import PRUNERS, SAMPLERS
    from zslbench_tune.outcome import Tuning
    from zslbench_tune.planning import planned
    from zslbench_tune.preset_file import check_output, write_preset
    from zslbench_tune.provenance import provenance
    from zslbench_tune.study import joined
    from zslbench_tune.workers import Way, helping, work

    for name, value, known in (("sampler", sampler, SAMPLERS), ("pruner", pruner, PRUNERS)):
        if value not in known:
            raise SettingsError(f"{name} '{value}', {did_you_mean(value, known)}")
    if min(trials, workers) < 1:
        raise SettingsError(f"{trials} trials on {workers} workers: give 1 or more of each")
    display = display or Quiet()
    plan = planned(display.say, **asked)
    target = (Path(output) if output else plan.journal.with_suffix(".toml")).expanduser().absolute()
    way = Way(trials, sampler, sampler_seed, pruner)
    with joined(plan.journal, plan.identity, plan.space):  # whose it is comes before whose the preset is
        check_output(target, plan.name)
    display.say(f"search {plan.name}: {plan.space}")
    with stop_requests(display.say) as stopped, helping(workers - 1, asked, way):
        rows = work(plan, way, stopped, display)
    top = _winner(rows, plan.name)
    winner = plan.recipe.with_settings(top.settings)
    if top.epochs is not None and winner.schedule is not None:
        winner = winner.with_settings({winner.schedule: top.epochs})
    write_preset(target, winner, plan.space, provenance(plan, way, rows, top))
    return Tuning(plan.name, plan.criterion, tuple(rows), top, target, plan.journal, plan.space.plain())


_OF_THE_PLAN = (
    *("method", "dataset", "search", "seeds", "variant", "reading", "settings", "preset", "epochs", "every"),
    *("features", "semantics", "regions", "data_root", "store", "device", "threads"),
    *("precision", "graphs", "journal"),
)


def _winner(rows: Sequence[TrialRow], name: str) -> TrialRow:
    from zslbench_tune.outcome import ranked

    top = ranked(rows)[0]
    if top.state != "done":
        reasons = "; ".join(dict.fromkeys(one.reason for one in rows if one.reason)) or "all were pruned"
        raise ZslbenchError(f"search {name}: none of {len(rows)} trials has a value: {reasons}")
    return top
