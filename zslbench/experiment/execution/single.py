"""Computes one run in this process: found if it is finished, resumed if it was interrupted, written whole."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zslbench.errors import Interrupted, SettingsError
from zslbench.experiment import pipeline
from zslbench.experiment.execution.events import Display, PluginObserver, collected_warnings, stop_requests
from zslbench.experiment.execution.job import Job
from zslbench.experiment.execution.mode import applied
from zslbench.experiment.execution.record import content_of
from zslbench.plugin.lookup import Registry
from zslbench.plugin.streams import Streams
from zslbench.store.identity import run_id
from zslbench.store.record import RunInfo, RunRecord
from zslbench.store.stages import StageStore
from zslbench.store.store import Store
from zslbench.training.graphs.graphs import Graphs
from zslbench.training.loop import Observer, Training
from zslbench.training.stages import Stages

STAGES = "stages"
"""Folder of a run's checkpoints in its workspace, and of kept stages in the store."""

CHECKPOINT_VARIABLE = "ZSLBENCH_CHECKPOINT_SECONDS"


def checkpoint_seconds() -> float:
    """Least time between checkpoints: ``ZSLBENCH_CHECKPOINT_SECONDS``, or a minute; 0: after every iteration.

    Raises:
        SettingsError: it is not a number of 0 or more.
    """
    given = os.environ.get(CHECKPOINT_VARIABLE, "").strip() or "60"
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise SettingsError(f"{CHECKPOINT_VARIABLE}={given}: give a number of seconds, 0 or more")
    return seconds


def compute(
    job: Job, store: Store, registry: Registry, display: Display, *, force: bool = False
) -> tuple[RunRecord, bool]:
    """Compute a run, or find it; the second value says whether it was found.

    Raises:
        Interrupted: stopped on request, resumable.
    """
    if (found := find(job, store, display, force=force)) is not None:
        return found, True
    with open_run(job, store, registry, display, force=force) as run:
        started = time.monotonic()
        with (
            applied(job.mode, job.seed) as device,
            stop_requests(display.say) as stopped,
            display.observer(run.title) as shown,
            collected_warnings() as notes,
        ):
            training = run.training(device, shown, stopped)
            outcome = pipeline.run(job.recipe, job.dataset, job.selection, training)
        record = run.write(outcome, notes, {"seconds": time.monotonic() - started})
    registry.call_lifecycle("zslbench_run_finished", run=run.info, record=record)
    return record, False


def find(job: Job, store: Store, display: Display, *, force: bool = False) -> RunRecord | None:
    """The finished run of a job; None: it is to be computed."""
    found = None if force else store.find(run_id(job.identity()))
    if found is not None and job.keep_weights and found.environment.get("weights") != "all":
        display.say(f"run {found.info.id} was kept without weights; --force computes it again and keeps them")
    return found


@dataclass(frozen=True)
class OpenRun:
    """A run that has begun, with the workspace that it holds."""

    job: Job
    info: RunInfo
    folder: Path
    store: Store
    registry: Registry
    stages: Stages
    force: bool
    graphs: Graphs | None = None

    @property
    def title(self) -> str:
        """The heading of its progress."""
        return f"{self.job.recipe.label} · {self.info.dataset} · seed {self.info.seed}"

    def training(self, device: torch.device, shown: Observer, stopped: Callable[[], bool]) -> Training:
        """Where and how it is trained."""
        return Training(
            streams=Streams(self.job.seed, device),
            folder=self.folder / STAGES,
            observer=PluginObserver(shown, self.registry, self.info),
            checkpoint_seconds=checkpoint_seconds(),
            stop_requested=stopped,
            stages=self.stages,
            precision=self.job.mode.precision,
            graphs=self.graphs,
        )

    def write(
        self, outcome: pipeline.Outcome, notes: Sequence[str], environment: Mapping[str, Any]
    ) -> RunRecord:
        """Put its result into the store."""
        on_gpu: dict[str, Any] = {} if self.graphs is None else {"graphs": self.graphs.describe()}
        if self.job.mode.device == "cuda":
            on_gpu["gpu_memory_peak"] = torch.cuda.max_memory_allocated()
        notes, environment = [*self.job.dataset.notes, *notes], {**on_gpu, **environment}
        content = content_of(self.job, self.info, outcome, notes, environment, self.stages.events)
        return self.store.write(content, replace=self.force)


@contextlib.contextmanager
def open_run(
    job: Job,
    store: Store,
    registry: Registry,
    display: Display,
    *,
    force: bool = False,
    resumed: bool = False,
) -> Iterator[OpenRun]:
    """Hold a run's workspace, and tell plugins when it begins and if it fails.

    Args:
        resumed: it goes on from a checkpoint outside its own workspace.
    """
    identity = job.identity()
    ident = run_id(identity)
    with store.workspace(ident) as folder, _removed_if_useless(folder), _stops_reported(registry) as begun:
        if force:  # from the start, not from what an interrupted run left
            shutil.rmtree(folder / STAGES, ignore_errors=True)
        info = RunInfo(
            id=ident,
            method=job.recipe.method,
            variant=job.recipe.variant,
            dataset=job.recipe.parts["dataset"].name,
            seed=job.seed,
            selection=job.selection.mode,
            identity=identity,
            folder=store.runs / ident,
            resumed=resumed or _has_checkpoint(folder),
            reading=job.recipe.reading.name if job.recipe.reading else None,
        )
        labels = {
            "method": info.method, "variant": info.variant, "dataset": info.dataset,
            "seed": info.seed, "selection": info.selection, "label": job.recipe.label,
        }  # fmt: skip
        store.describe(folder, labels)
        if info.resumed:
            display.say(f"run {ident} goes on from its last checkpoint")
        begun.append(info)
        registry.call_lifecycle("zslbench_run_started", run=info)
        stages = Stages(StageStore(store.root / STAGES), job.stage_identity(), fresh=force, say=display.say)
        if job.mode.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        yield OpenRun(job, info, folder, store, registry, stages, force, job.mode.new_graphs())


def _has_checkpoint(folder: Path) -> bool:
    return any((folder / STAGES).rglob("*.safetensors"))


@contextlib.contextmanager
def _removed_if_useless(folder: Path) -> Iterator[None]:
    """Remove the workspace of a run that fails before its first checkpoint: it has nothing to go on from."""
    try:
        yield
    except Interrupted:
        raise
    except Exception:
        if not _has_checkpoint(folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def _stops_reported(registry: Registry) -> Iterator[list[RunInfo]]:
    """Tell plugins of the runs that are put into the list and then end without a result."""
    begun: list[RunInfo] = []
    try:
        yield begun
    except BaseException as error:
        for info in begun:
            registry.call_lifecycle("zslbench_run_stopped", run=info, error=error)
        raise
