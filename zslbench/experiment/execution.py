"""Computes runs, one alone or several trained together as replicas, or finds them in the store."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch

from zslbench.errors import Interrupted, OutOfMemory, SettingsError, memory_shortage
from zslbench.experiment import pipeline
from zslbench.experiment.events import Display, RunObserver, collected_warnings, stop_requests
from zslbench.experiment.job import Job, applied
from zslbench.experiment.open_run import STAGES, OpenRun, has_checkpoint
from zslbench.plugin.boundary import plugin_code
from zslbench.plugin.lookup import Registry
from zslbench.plugin.streams import Streams
from zslbench.store.identity import run_id
from zslbench.store.record import RunRecord
from zslbench.store.store import Store
from zslbench.training.loop import Observer, Training
from zslbench.training.threads import Group, Member

CHECKPOINT_VARIABLE = "ZSLBENCH_CHECKPOINT_SECONDS"

_TAKES_MEMORY = re.compile("batch|per_class|hidden|latent")

JobResult: TypeAlias = tuple[RunRecord, bool] | Exception
"""How a job ended: with a record, and whether it was in the store; or with an error."""


def checkpoint_seconds() -> float:
    """Time between checkpoints: ``ZSLBENCH_CHECKPOINT_SECONDS``, or a minute; 0: after every iteration.

    Raises:
        SettingsError: it is not a number of 0 or more.
    """
    given = os.environ.get(CHECKPOINT_VARIABLE, "").strip() or "60"
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise SettingsError(f"{CHECKPOINT_VARIABLE}={given}: must be a number of seconds, 0 or more")
    return seconds


def compute_all(
    jobs: Sequence[Job], replicas: int, store: Store, registry: Registry, display: Display, *, force: bool
) -> list[tuple[RunRecord, bool]]:
    """Compute or find the runs of several jobs, ``replicas`` at a time; second values: whether it was found.

    Raises:
        Interrupted: stopped on request, resumable.
        Exception: that of the first run that failed, once the others of its group have ended.
    """
    done = []
    for start in range(0, len(jobs), replicas):
        chunk = jobs[start : start + replicas]
        group = [replace(job, mode=replace(job.mode, replicas=len(chunk))) for job in chunk]
        for ended in compute_group(group, store, registry, display, force=force).values():
            if isinstance(ended, Exception):
                raise ended
            done.append(ended)
    return done


def compute_group(
    jobs: Sequence[Job],
    store: Store,
    registry: Registry,
    display: Display,
    *,
    force: bool = False,
    wanted: Collection[int] | None = None,
) -> dict[int, JobResult]:
    """Compute those runs of one group that are not in the store, together; how each job ended, by position.

    A run that is found, or that fails, leaves its replica as padding, which changes nothing for the others.

    Args:
        jobs: of one data set and device; ``mode.replicas`` is their number.
        wanted: positions of those to compute; None: all.

    Raises:
        Interrupted: stopped on request, resumable.
    """
    slots = range(len(jobs)) if wanted is None else sorted(wanted)
    ended: dict[int, JobResult] = {}
    for slot in slots:
        job = jobs[slot]
        if not force and (record := store.find(run_id(job.identity()))) is not None:
            ended[slot] = record, True
            if job.keep_weights and record.environment.get("weights") != "all":
                display.say(
                    f"run {record.info.id} was stored without weights; --force repeats it and keeps them"
                )
            if job.debug_samples and not record.environment.get("debug_samples"):
                display.say(
                    f"run {record.info.id} was stored without statistics of samples; --force repeats it and "
                    "records them"
                )
    if missing := {slot: jobs[slot] for slot in slots if slot not in ended}:
        ended |= _Computation(jobs, missing, store, registry, display, force).compute()
    return {slot: ended[slot] for slot in slots}


@dataclass
class _Computation:
    """The missing runs of one group. Each opened run is closed by itself; at the end, those that are left."""

    jobs: Sequence[Job]
    missing: Mapping[int, Job]
    store: Store
    registry: Registry
    display: Display
    force: bool
    runs: dict[int, OpenRun] = field(default_factory=dict)

    @functools.cached_property
    def _ids(self) -> list[str]:
        return [run_id(job.identity()) for job in self.jobs]

    def compute(self) -> dict[int, JobResult]:
        started = time.monotonic()
        try:
            with contextlib.ExitStack() as held:
                ended = self._compute(None if len(self.jobs) == 1 else self._folder(held), started)
        except BaseException as error:
            for _, run in sorted(self.runs.items()):
                run.close(error)
            raise
        for one in ended.values():
            if isinstance(one, tuple):
                record = one[0]
                self.registry.call_hook("zslbench_run_finished", run=record.info, record=record)
        for one in ended.values():
            if isinstance(one, Interrupted):
                raise one
        return ended

    def _compute(self, folder: Path | None, started: float) -> dict[int, JobResult]:
        first = next(iter(self.missing.values()))
        resumed = folder is not None and has_checkpoint(folder)
        for slot in self.missing:
            self._opened(slot, resumed)
        graphs = first.mode.new_graphs()
        group = Group(len(self.jobs), folder) if folder is not None else None
        with (
            applied(first.mode, first.seed) as device,
            stop_requests(self.display.say) as stopped,
            self.display.observer(self._title()) as shown,
        ):
            training = partial(
                Training,
                checkpoint_seconds=checkpoint_seconds(),
                stop_requested=stopped,
                precision=first.mode.precision,
                graphs=graphs,
            )
            train = self._trainer(training, device, shown)
            outcomes: Mapping[int, tuple[pipeline.Outcome, list[str]] | BaseException]
            if group is not None:
                outcomes = group.run({slot: partial(train, slot) for slot in self.runs})
            else:
                try:
                    outcomes = {slot: train(slot) for slot in self.runs}
                except Exception as error:
                    outcomes = dict.fromkeys(self.runs, error)
        seconds = time.monotonic() - started
        environment: dict[str, Any] = {"seconds": seconds / len(self.missing)}
        if graphs is not None:
            environment["graphs"] = graphs.describe()
        if group is not None:
            environment["replicas"] = self._replicas(group, seconds)
        ended: dict[int, JobResult] = {}
        for slot, outcome in outcomes.items():
            if isinstance(outcome, Exception):
                ended[slot] = self._explained(outcome, self.jobs[slot])
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                ended[slot] = self.runs[slot].write(*outcome, environment), False
        # All are written before the first workspace goes: one of them holds what the others resume from.
        for slot, one in ended.items():
            self.runs[slot].close(one if isinstance(one, Exception) else None)
        return ended

    def _explained(self, error: Exception, job: Job) -> Exception:
        """If memory ran out, an error that names the settings behind its use; else the error itself."""
        shortage = memory_shortage(error)
        if not shortage:
            return error
        sizes = [
            f"{kind}.{name}={value}"
            for kind, part in job.recipe.parts.items()
            for name, value in part.values().items()
            if kind != "dataset" and isinstance(value, int) and _TAKES_MEMORY.search(name)
        ]
        advice = [f"smaller settings (now {', '.join(sizes)})"] if sizes else []
        if len(self.jobs) > 1:
            advice.append(f"fewer seeds together (--replicas, now {len(self.jobs)})")
        advice.append("shorter feature vectors or a machine with more memory")
        found = OutOfMemory(f"{job.recipe.label}, seed {job.seed}: {shortage}; use {', or '.join(advice)}")
        found.__cause__ = error
        return found

    def _trainer(
        self, training: Callable[..., Training], device: torch.device, shown: Observer
    ) -> Callable[..., tuple[pipeline.Outcome, list[str]]]:
        """A function that trains the run in a slot, alone or as a member of a group in its own thread."""
        leaders: dict[str, int | None] = {}
        gpu = torch.cuda.current_device() if device.type == "cuda" else None

        def train(slot: int, member: Member | None = None) -> tuple[pipeline.Outcome, list[str]]:
            if gpu is not None:  # the current GPU is set for each thread
                torch.cuda.set_device(gpu)
            run = self.runs[slot]
            thread = None if member is None else threading.get_ident()
            observer = RunObserver(shown, self.registry, run.info, leaders, slot)
            with collected_warnings(thread) as notes, observer:
                where = training(
                    streams=Streams(run.job.seed, device),
                    folder=run.folder / STAGES,
                    require_sound_data=run.job.require_sound_data,
                    observer=observer,
                    stages=run.stages,
                    debug_samples=run.job.debug_samples,
                    member=member,
                )
                with plugin_code(run.job.recipe.label):
                    return pipeline.run(run.job.recipe, run.job.dataset, run.job.selection, where), notes

        return train

    def _opened(self, slot: int, resumed: bool = False) -> OpenRun:
        if slot not in self.runs:
            self.runs[slot] = OpenRun(
                self.missing[slot],
                self.store,
                self.registry,
                self.display,
                force=self.force,
                resumed=resumed,
                group=self._ids if len(self.jobs) > 1 else (),
            )
        return self.runs[slot]

    def _folder(self, held: contextlib.ExitStack) -> Path:
        """Where the group's checkpoints are: in the workspace of one of its runs.

        The folder has the group's own name, since a run may be in several groups.
        """
        slots = {ident: slot for slot, ident in enumerate(self._ids)}
        name = f"group-{run_id({'runs': self._ids})}"
        unfinished = self.store.root / "unfinished"
        holders = [ident for ident in slots if (unfinished / ident / STAGES / name).is_dir()]
        slot = slots[holders[0]] if holders else min(self.missing)
        if slot in self.missing:
            return self._opened(slot).folder / STAGES / name
        # The group was killed while it wrote its runs: the holder's record exists already.
        return held.enter_context(self.store.workspace(holders[0])) / STAGES / name

    def _title(self) -> str:
        """The heading of the progress."""
        run = next(iter(self.runs.values()))
        if len(self.jobs) == 1:
            return f"{run.job.recipe.label} · {run.info.dataset} · seed {run.info.seed}"
        labels = list(dict.fromkeys(job.recipe.label for job in self.missing.values()))
        seeds = ", ".join(str(job.seed) for job in self.missing.values())
        return f"{', '.join(labels)} · {run.info.dataset} · seeds {seeds} together"

    def _replicas(self, group: Group, seconds: float) -> dict[str, Any]:
        """What the record of a run says about its group."""
        return {
            "seeds": [job.seed for job in self.jobs],
            "labels": list(dict.fromkeys(job.recipe.label for job in self.jobs)),
            "computed": [job.seed for job in self.missing.values()],
            "seconds": seconds,
            "one by one": dict(group.one_by_one),
            "parts": dict(group.split),
        }
