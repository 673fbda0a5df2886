"""Computes the runs of several seeds in one process, as replicas: trained together, recorded one by one."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from zslbench import pipeline
from zslbench.errors import Interrupted, SettingsError
from zslbench.execution import local
from zslbench.execution.interrupt import stop_requests
from zslbench.execution.local import STAGES, Display, Job, OpenRun, find, notes_of_run, opened
from zslbench.execution.mode import ExecutionMode, applied
from zslbench.execution.relay import Relay
from zslbench.recipe import Recipe
from zslbench.registry import Registry
from zslbench.store.identity import run_id
from zslbench.store.record import RunRecord
from zslbench.store.store import Store
from zslbench.training.graphs.graphs import Graphs
from zslbench.training.replicas.group import Group, Member


@dataclass(frozen=True)
class Ended:
    """How a run of a group ended: with a record, or with an error."""

    record: RunRecord | None
    found: bool = False
    """Whether it had been computed before."""
    error: Exception | None = None


def replicas_for(asked: int | None, seeds: int, recipe: Recipe, mode: ExecutionMode) -> int:
    """How many seeds of a recipe are trained together at most.

    As many as a user asked for, or by default all of them on a GPU and one on a CPU, where a replica takes
    about as long as a run of its own. A closed form has nothing to share.

    Raises:
        SettingsError: fewer than one is asked for.
    """
    if asked is not None and asked < 1:
        raise SettingsError(f"replicas {asked}: give 1 or more")
    if recipe.paced is None:
        return 1
    return asked or (seeds if mode.device == "cuda" else 1)


def kin(recipe: Recipe) -> Hashable:
    """The same for recipes that may be trained together: they differ in positive or negative floats alone.

    A float that is 0 in one of them often switches a term off, which makes another step of it, and rates of
    optimisers are the same for all that an optimiser updates.
    """

    def told(name: str, value: Any) -> Any:
        if type(value) is not float or _OF_OPTIMISERS.search(name):
            return json.dumps(value, sort_keys=True, default=str)
        return (value > 0) - (value < 0)

    parts = tuple(
        (kind, part.name, tuple((name, told(name, value)) for name, value in sorted(part.values().items())))
        for kind, part in sorted(recipe.parts.items())
    )
    return recipe.tasks, tuple(sorted(recipe.search.items())), parts


_OF_OPTIMISERS = re.compile(r"(^|_)(lr|beta|momentum|weight_decay|learning_rate)")


def in_groups(jobs: Sequence[Job], replicas: int) -> list[list[Job]]:
    """The jobs in order, in groups of so many at most; how many a group has is part of their identity."""
    return [of_group(jobs[start : start + replicas]) for start in range(0, len(jobs), replicas)]


def of_group(jobs: Sequence[Job]) -> list[Job]:
    """The jobs as members of one group."""
    return [replace(job, mode=replace(job.mode, replicas=len(jobs))) for job in jobs]


def compute_all(
    jobs: Sequence[Job], replicas: int, store: Store, registry: Registry, display: Display, *, force: bool
) -> list[tuple[RunRecord, bool]]:
    """Compute or find the runs of several jobs, so many at a time; the second values tell which were found.

    Raises:
        Interrupted: stopped on request, resumable.
        Exception: what the first run that failed raised, once those of its group have ended.
    """
    ended: list[tuple[RunRecord, bool]] = []
    for group in in_groups(jobs, replicas):
        for one in compute_together(group, store, registry, display, force=force):
            if one.record is None:
                assert one.error is not None
                raise one.error
            ended.append((one.record, one.found))
    return ended


def compute_together(
    jobs: Sequence[Job],
    store: Store,
    registry: Registry,
    display: Display,
    *,
    force: bool = False,
    wanted: Collection[int] | None = None,
) -> list[Ended]:
    """Compute the runs of one group that are not in the store, together; how each job ended, in their order.

    A run that is found, or that fails, leaves its replica to the others' padding: what they get is the same.

    Args:
        jobs: of one data set and device, with ``mode.replicas`` as many as there are.
        wanted: which of them, by their place; the others have neither record nor error. None: all.

    Raises:
        Interrupted: stopped on request, resumable.
    """
    if len(jobs) == 1:
        return [_alone(jobs[0], store, registry, display, force)]
    ended: dict[int, Ended] = {}
    for slot, job in enumerate(jobs):
        if wanted is not None and slot not in wanted:
            ended[slot] = Ended(None)
        elif (record := find(job, store, display, force=force)) is not None:
            ended[slot] = Ended(record, found=True)
    if missing := {slot: job for slot, job in enumerate(jobs) if slot not in ended}:
        ended |= _Together(jobs, missing, store, registry, display, force).compute()
    return [ended[slot] for slot in range(len(jobs))]


def _alone(job: Job, store: Store, registry: Registry, display: Display, force: bool) -> Ended:
    try:
        return Ended(*local.compute(job, store, registry, display, force=force))
    except Interrupted:
        raise
    except Exception as error:
        return Ended(None, error=error)


@dataclass
class _Together:
    """The missing runs of one group."""

    jobs: Sequence[Job]
    missing: Mapping[int, Job]
    store: Store
    registry: Registry
    display: Display
    force: bool

    def compute(self) -> dict[int, Ended]:
        first = next(iter(self.missing.values()))
        started = time.monotonic()
        with contextlib.ExitStack() as held, _Runs(self) as runs:
            folder = self._folder(held, runs)
            resumed = any(folder.rglob("*.safetensors"))
            for slot, job in self.missing.items():
                runs.open(slot, job, resumed)
            with (
                applied(first.mode, first.seed) as device,
                stop_requests(self.display.say) as stopped,
                self.display.observer(self._title(runs)) as shown,
            ):
                group, relay = Group(len(self.jobs), folder), Relay(shown)
                gpu = torch.cuda.current_device() if device.type == "cuda" else None
                graphs = first.mode.new_graphs()
                outcomes = group.run(
                    {
                        slot: partial(_work, run, relay, device, stopped, graphs, gpu)
                        for slot, run in runs.open_ones.items()
                    }
                )
            environment = self._environment(group, time.monotonic() - started)
            if graphs is not None:
                environment["graphs"] = graphs.describe()
            ended: dict[int, Ended] = {}
            for slot, outcome in outcomes.items():
                if isinstance(outcome, Exception):
                    ended[slot] = Ended(None, error=outcome)
                elif isinstance(outcome, BaseException):
                    raise outcome
                else:
                    ended[slot] = Ended(runs.open_ones[slot].write(*outcome, environment))
            # All are written before the first workspace goes: one of them holds what the others resume from.
            for slot, one in ended.items():
                runs.close(slot, one.error)
        for slot, one in ended.items():
            if one.record is not None:
                info = runs.open_ones[slot].info
                self.registry.call_lifecycle("zslbench_run_finished", run=info, record=one.record)
        for one in ended.values():
            if isinstance(one.error, Interrupted):
                raise one.error
        return ended

    def _folder(self, held: contextlib.ExitStack, runs: _Runs) -> Path:
        """Where the group's checkpoints are: in the workspace of one of its runs.

        The folder's name is the group's own, since the same run may be in several groups.
        """
        idents = {run_id(job.identity()): slot for slot, job in enumerate(self.jobs)}
        name = f"group-{run_id({'runs': list(idents)})}"
        places = self.store.root / "unfinished"
        left = [one for one in idents if (places / one / STAGES / name).is_dir()]
        slot = idents[left[0]] if left else min(self.missing)
        if slot in self.missing:
            return runs.open(slot, self.missing[slot]).folder / STAGES / name
        return held.enter_context(self.store.workspace(left[0])) / STAGES / name  # killed while it wrote runs

    def _title(self, runs: _Runs) -> str:
        labels = list(dict.fromkeys(job.recipe.label for job in self.missing.values()))
        seeds = ", ".join(str(job.seed) for job in self.missing.values())
        info = next(iter(runs.open_ones.values())).info
        return f"{', '.join(labels)} · {info.dataset} · seeds {seeds} together"

    def _environment(self, group: Group, seconds: float) -> dict[str, Any]:
        """What a run's record says of the group: ``seconds`` of one run are its share of all."""
        return {
            "seconds": seconds / len(self.missing),
            "replicas": {
                "seeds": [job.seed for job in self.jobs],
                "labels": list(dict.fromkeys(job.recipe.label for job in self.jobs)),
                "computed": [job.seed for job in self.missing.values()],
                "seconds": seconds,
                "one by one": dict(group.plain),
                "parts": dict(group.split),
            },
        }


def _work(
    run: OpenRun,
    relay: Relay,
    device: torch.device,
    stopped: Callable[[], bool],
    graphs: Graphs | None,
    gpu: int | None,
    member: Member,
) -> tuple[pipeline.Outcome, list[str]]:
    """One seed's run, in its own thread; gives its notes as well."""
    if gpu is not None:  # which GPU is the current one is a thread's own matter
        torch.cuda.set_device(gpu)
    with notes_of_run(threading.get_ident()) as notes, relay.of(member.slot) as shown:
        training = replace(run.training(device, shown, stopped), graphs=graphs, member=member)
        return pipeline.run(run.job.recipe, run.job.dataset, run.job.selection, training), notes


class _Runs:
    """Runs that were opened, each of which is closed by itself; in the end, those that are left."""

    def __init__(self, of: _Together) -> None:
        self._of = of
        self.open_ones: dict[int, OpenRun] = {}
        self._contexts: dict[int, contextlib.AbstractContextManager[OpenRun]] = {}

    def open(self, slot: int, job: Job, resumed: bool = False) -> OpenRun:
        if slot not in self.open_ones:
            of = self._of
            context = opened(job, of.store, of.registry, of.display, force=of.force, resumed=resumed)
            self.open_ones[slot] = context.__enter__()
            self._contexts[slot] = context
        return self.open_ones[slot]

    def close(self, slot: int, error: BaseException | None) -> None:
        context = self._contexts.pop(slot)
        if error is None:
            context.__exit__(None, None, None)
        else:
            context.__exit__(type(error), error, error.__traceback__)

    def __enter__(self) -> _Runs:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        for slot in sorted(self._contexts):
            self.close(slot, error)
