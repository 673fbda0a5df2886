"""Computes several runs in one process as replicas: trained together, recorded one by one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from zslbench.errors import Interrupted
from zslbench.experiment import pipeline
from zslbench.experiment.execution import single
from zslbench.experiment.execution.events import Display, GroupObserver, collected_warnings, stop_requests
from zslbench.experiment.execution.job import Job, in_groups
from zslbench.experiment.execution.mode import applied
from zslbench.experiment.execution.single import STAGES, OpenRun
from zslbench.plugin.lookup import Registry
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
            return [Ended(*single.compute(jobs[0], store, registry, display, force=force))]
        except Interrupted:
            raise
        except Exception as error:
            return [Ended(None, error=error)]
    ended: dict[int, Ended] = {}
    for slot, job in enumerate(jobs):
        if wanted is not None and slot not in wanted:
            ended[slot] = Ended(None)
        elif (record := single.find(job, store, display, force=force)) is not None:
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
                self.registry.call_lifecycle("zslbench_run_finished", run=info, record=one.record)
        for one in ended.values():
            if isinstance(one.error, Interrupted):
                raise one.error
        return ended

    def _open(self, slot: int, resumed: bool = False) -> OpenRun:
        if slot not in self.runs:
            context = single.open_run(
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
                "one by one": dict(group.plain),
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
