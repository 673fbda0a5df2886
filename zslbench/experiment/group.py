"""Trains several runs together in one process, as replicas, and records them one by one."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from zslbench.errors import Interrupted, SettingsError
from zslbench.experiment import execution, pipeline
from zslbench.experiment.events import Display, GroupObserver, collected_warnings, stop_requests
from zslbench.experiment.execution import STAGES, OpenRun
from zslbench.experiment.job import ExecutionMode, Job, applied
from zslbench.experiment.recipe import Recipe
from zslbench.plugin.lookup import Registry
from zslbench.store.identity import run_id
from zslbench.store.record import RunRecord
from zslbench.store.store import Store
from zslbench.training.graphs import Graphs
from zslbench.training.replicas.group import Group, Member


@dataclass(frozen=True)
class Ended:
    """How a run of a group ended: with a record, or with an error."""

    record: RunRecord | None
    found: bool = False
    """Whether it had been computed before."""
    error: Exception | None = None

    def result(self) -> tuple[RunRecord, bool]:
        """The record, and whether it was found.

        Raises:
            Exception: the run's error.
        """
        if self.record is None:
            assert self.error is not None
            raise self.error
        return self.record, self.found


def compute_all(
    jobs: Sequence[Job], replicas: int, store: Store, registry: Registry, display: Display, *, force: bool
) -> list[tuple[RunRecord, bool]]:
    """Compute or find the runs of several jobs, ``replicas`` at a time; second values: which were found.

    Raises:
        Interrupted: stopped on request, resumable.
        Exception: that of the first run that failed, once the others of its group have ended.
    """
    return [
        one.result()
        for group in in_groups(jobs, replicas)
        for one in compute_group(group, store, registry, display, force=force)
    ]


def compute_group(
    jobs: Sequence[Job],
    store: Store,
    registry: Registry,
    display: Display,
    *,
    force: bool = False,
    wanted: Collection[int] | None = None,
) -> list[Ended]:
    """Compute together those runs of one group that are not in the store; how each job ended, in order.

    A run that is found, or that fails, leaves its replica as padding: it changes nothing for the others.

    Args:
        jobs: of one data set and device; ``mode.replicas`` is their number.
        wanted: positions of those to compute; the others get neither record nor error. None: all.

    Raises:
        Interrupted: stopped on request, resumable.
    """
    if len(jobs) == 1:
        try:
            return [Ended(*execution.compute(jobs[0], store, registry, display, force=force))]
        except Interrupted:
            raise
        except Exception as error:
            return [Ended(None, error=error)]
    ended: dict[int, Ended] = {}
    for slot, job in enumerate(jobs):
        if wanted is not None and slot not in wanted:
            ended[slot] = Ended(None)
        elif (record := execution.find(job, store, display, force=force)) is not None:
            ended[slot] = Ended(record, found=True)
    if missing := {slot: job for slot, job in enumerate(jobs) if slot not in ended}:
        ended |= _GroupRun(jobs, missing, store, registry, display, force).compute()
    return [ended[slot] for slot in range(len(jobs))]


@dataclass
class _GroupRun:
    """The missing runs of one group. Each opened run is closed by itself; at the end, those that are left."""

    jobs: Sequence[Job]
    missing: Mapping[int, Job]
    store: Store
    registry: Registry
    display: Display
    force: bool
    runs: dict[int, OpenRun] = field(default_factory=dict)
    _contexts: dict[int, contextlib.AbstractContextManager[OpenRun]] = field(default_factory=dict)

    def compute(self) -> dict[int, Ended]:
        first = next(iter(self.missing.values()))
        started = time.monotonic()
        with contextlib.ExitStack() as held, self._closing():
            folder = self._folder(held)
            resumed = any(folder.rglob("*.safetensors"))
            for slot in self.missing:
                self._open(slot, resumed)
            with (
                applied(first.mode, first.seed) as device,
                stop_requests(self.display.say) as stopped,
                self.display.observer(self._title()) as shown,
            ):
                group, observer = Group(len(self.jobs), folder), GroupObserver(shown)
                gpu = torch.cuda.current_device() if device.type == "cuda" else None
                graphs = first.mode.new_graphs()
                outcomes = group.run(
                    {
                        slot: partial(_run_member, run, observer, device, stopped, graphs, gpu)
                        for slot, run in self.runs.items()
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
                    ended[slot] = Ended(self.runs[slot].write(*outcome, environment))
            # All are written before the first workspace goes: one of them holds what the others resume from.
            for slot, one in ended.items():
                self._close(slot, one.error)
        for slot, one in ended.items():
            if one.record is not None:
                info = self.runs[slot].info
                self.registry.call_hook("zslbench_run_finished", run=info, record=one.record)
        for one in ended.values():
            if isinstance(one.error, Interrupted):
                raise one.error
        return ended

    def _open(self, slot: int, resumed: bool = False) -> OpenRun:
        if slot not in self.runs:
            context = execution.open_run(
                self.missing[slot],
                self.store,
                self.registry,
                self.display,
                force=self.force,
                resumed=resumed,
            )
            self.runs[slot] = context.__enter__()
            self._contexts[slot] = context
        return self.runs[slot]

    def _close(self, slot: int, error: BaseException | None) -> None:
        context = self._contexts.pop(slot)
        if error is None:
            context.__exit__(None, None, None)
        else:
            context.__exit__(type(error), error, error.__traceback__)

    @contextlib.contextmanager
    def _closing(self) -> Iterator[None]:
        error: BaseException | None = None
        try:
            yield
        except BaseException as raised:
            error = raised
            raise
        finally:
            for slot in sorted(self._contexts):
                self._close(slot, error)

    def _folder(self, held: contextlib.ExitStack) -> Path:
        """Where the group's checkpoints are: in the workspace of one of its runs.

        The folder's name is the group's own, since the same run may be in several groups.
        """
        slots = {run_id(job.identity()): slot for slot, job in enumerate(self.jobs)}
        name = f"group-{run_id({'runs': list(slots)})}"
        unfinished = self.store.root / "unfinished"
        holders = [ident for ident in slots if (unfinished / ident / STAGES / name).is_dir()]
        slot = slots[holders[0]] if holders else min(self.missing)
        if slot in self.missing:
            return self._open(slot).folder / STAGES / name
        # The group was killed while it wrote its runs: the holder's record exists already.
        return held.enter_context(self.store.workspace(holders[0])) / STAGES / name

    def _title(self) -> str:
        labels = list(dict.fromkeys(job.recipe.label for job in self.missing.values()))
        seeds = ", ".join(str(job.seed) for job in self.missing.values())
        info = next(iter(self.runs.values())).info
        return f"{', '.join(labels)} · {info.dataset} · seeds {seeds} together"

    def _environment(self, group: Group, seconds: float) -> dict[str, Any]:
        """What a run's record says of its group; ``seconds`` of one run are its share of all."""
        return {
            "seconds": seconds / len(self.missing),
            "replicas": {
                "seeds": [job.seed for job in self.jobs],
                "labels": list(dict.fromkeys(job.recipe.label for job in self.jobs)),
                "computed": [job.seed for job in self.missing.values()],
                "seconds": seconds,
                "one by one": dict(group.one_by_one),
                "parts": dict(group.split),
            },
        }


def _run_member(
    run: OpenRun,
    observer: GroupObserver,
    device: torch.device,
    stopped: Callable[[], bool],
    graphs: Graphs | None,
    gpu: int | None,
    member: Member,
) -> tuple[pipeline.Outcome, list[str]]:
    """One run of a group, in a thread of its own; gives its outcome and notes."""
    if gpu is not None:  # the current GPU is set for each thread
        torch.cuda.set_device(gpu)
    with collected_warnings(threading.get_ident()) as notes, observer.member(member.slot) as shown:
        training = replace(run.training(device, shown, stopped), graphs=graphs, member=member)
        return pipeline.run(run.job.recipe, run.job.dataset, run.job.selection, training), notes


def replicas_for(requested: int | None, runs: int, recipe: Recipe, mode: ExecutionMode) -> int:
    """How many runs of a recipe are trained together at most.

    As many as requested; by default all of them on a GPU and one on a CPU, where a replica takes about as
    long as a run by itself. A closed form has nothing to share.

    Raises:
        SettingsError: fewer than one is requested.
    """
    if requested is not None and requested < 1:
        raise SettingsError(f"replicas {requested}: give 1 or more")
    if recipe.paced is None:
        return 1
    return requested or (runs if mode.device == "cuda" else 1)


def lift_key(recipe: Recipe) -> Hashable:
    """Equal for recipes that may be trained together: they differ in positive or negative floats alone.

    A float that is 0 in one of them often switches a term off, which makes another step of it, and rates of
    optimisers are the same for everything that an optimiser updates.
    """

    def key(name: str, value: Any) -> Any:
        if type(value) is not float or _OPTIMISER_RATE.search(name):
            return json.dumps(value, sort_keys=True, default=str)
        return (value > 0) - (value < 0)

    parts = tuple(
        (kind, part.name, tuple((name, key(name, value)) for name, value in sorted(part.values().items())))
        for kind, part in sorted(recipe.parts.items())
    )
    return recipe.tasks, tuple(sorted(recipe.search.items())), parts


_OPTIMISER_RATE = re.compile(r"(^|[._])(lr|beta|momentum|weight_decay|learning_rate)")


def in_groups(jobs: Sequence[Job], size: int) -> list[list[Job]]:
    """The jobs in order, in groups of at most ``size``; how many a group has is part of their identity."""
    return [as_group(jobs[start : start + size]) for start in range(0, len(jobs), size)]


def as_group(jobs: Sequence[Job]) -> list[Job]:
    """The jobs as members of one group."""
    return [replace(job, mode=replace(job.mode, replicas=len(jobs))) for job in jobs]
