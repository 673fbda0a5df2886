"""Computes the runs of several seeds in one process, as replicas: trained together, recorded one by one."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from zslbench.errors import Interrupted
from zslbench.experiment import pipeline
from zslbench.experiment.execution import local
from zslbench.experiment.execution.grouping import in_groups
from zslbench.experiment.execution.interrupt import stop_requests
from zslbench.experiment.execution.local import STAGES, Display, Job, OpenRun, find
from zslbench.experiment.execution.mode import applied
from zslbench.experiment.execution.open_runs import OpenRuns
from zslbench.experiment.execution.relay import Relay
from zslbench.experiment.execution.told import notes_of_run
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
        with (
            contextlib.ExitStack() as held,
            OpenRuns(self.store, self.registry, self.display, force=self.force) as runs,
        ):
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

    def _folder(self, held: contextlib.ExitStack, runs: OpenRuns) -> Path:
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

    def _title(self, runs: OpenRuns) -> str:
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
