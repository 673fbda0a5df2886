"""Computes one run in this process: found again if finished, resumed if interrupted, written whole."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from zslbench import __version__
from zslbench.errors import Interrupted, SettingsError
from zslbench.evaluation.selection import Selection
from zslbench.experiment import pipeline
from zslbench.experiment.execution.content import content_of
from zslbench.experiment.execution.interrupt import stop_requests
from zslbench.experiment.execution.mode import ExecutionMode, applied
from zslbench.experiment.execution.told import Hooked, notes_of_run
from zslbench.experiment.recipe import Recipe
from zslbench.plugin.dataset import Dataset
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
"""Folder of a run's checkpoints in its workspace, and of kept results of stages in the store."""

CHECKPOINT_VARIABLE = "ZSLBENCH_CHECKPOINT_SECONDS"

IDENTITY_FORMAT = 1
"""Raised when the meaning of a run's identity changes, so that no old run passes for a new one."""


@dataclass(frozen=True)
class Job:
    """One run to compute."""

    recipe: Recipe
    dataset: Dataset
    data: Mapping[str, Any]
    """:func:`zslbench.experiment.datasets.provenance` of the data set."""
    seed: int
    selection: Selection
    mode: ExecutionMode
    keep_weights: bool = False

    def identity(self) -> dict[str, Any]:
        """Everything that the run's numbers depend on."""
        recipe = self.recipe
        return {
            "format": IDENTITY_FORMAT,
            "method": recipe.method,
            "variant": recipe.variant,
            **({"reading": recipe.reading.name} if recipe.reading else {}),
            "components": {kind: part.name for kind, part in recipe.parts.items()},
            "settings": {kind: part.values() for kind, part in recipe.parts.items()},
            "search": {key: list(values) for key, values in recipe.search.items()}
            if self.selection.mode != "last"
            else {},
            "tasks": list(recipe.tasks),
            "data": {
                "features": self.data["features"],
                "semantics": self.data["semantics"],
                "split": self.data["split_fingerprint"],
                "validation": self.data["validation_fingerprint"],
                "arrays": {one["array"]: one["sha256"] for one in self.data["arrays"]},
            },
            "seed": self.seed,
            "selection": {
                "mode": self.selection.mode,
                "every": self.selection.step(recipe.epochs)
                if recipe.epochs and self.selection.mode != "last"
                else None,
            },
            "versions": {
                "zslbench": __version__,
                **{
                    f"plugin {one.name}": f"{one.version} {one.source_digest()}".strip()
                    for one in recipe.plugins
                },
            },
            "execution": self.mode.as_dict(),
        }


@runtime_checkable
class Display(Protocol):
    """Where progress is shown."""

    def observer(self, title: str) -> contextlib.AbstractContextManager[Observer]: ...

    def say(self, text: str) -> None: ...


def checkpoint_seconds() -> float:
    """Least time between checkpoints: ``ZSLBENCH_CHECKPOINT_SECONDS``, or a minute; 0: after every iteration.

    Raises:
        SettingsError: it is no number of 0 or more.
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
    """Compute a run, or find it; the second value tells whether it was found.

    Raises:
        Interrupted: stopped on request, resumable.
    """
    if (found := find(job, store, display, force=force)) is not None:
        return found, True
    with opened(job, store, registry, display, force=force) as run:
        started = time.monotonic()
        with (
            applied(job.mode, job.seed) as device,
            stop_requests(display.say) as stopped,
            display.observer(run.title) as shown,
            notes_of_run() as notes,
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
        """What is shown above its progress."""
        return f"{self.job.recipe.label} · {self.info.dataset} · seed {self.info.seed}"

    def training(self, device: torch.device, shown: Observer, stopped: Callable[[], bool]) -> Training:
        """Where and how it is trained."""
        return Training(
            streams=Streams(self.job.seed, device),
            folder=self.folder / STAGES,
            observer=Hooked(shown, self.registry, self.info),
            checkpoint_seconds=checkpoint_seconds(),
            stop_requested=stopped,
            stages=self.stages,
            precision=self.job.mode.precision,
            graphs=self.graphs,
        )

    def write(
        self, outcome: pipeline.Outcome, notes: Sequence[str], environment: Mapping[str, Any]
    ) -> RunRecord:
        """Put what it found into the store."""
        notes = [*self.job.dataset.notes, *notes]
        on_gpu: dict[str, Any] = {} if self.graphs is None else {"graphs": self.graphs.describe()}
        if self.job.mode.device == "cuda":
            on_gpu["gpu_memory_peak"] = torch.cuda.max_memory_allocated()
        environment = {**on_gpu, **environment}
        content = content_of(self.job, self.info, outcome, notes, environment, self.stages.events)
        return self.store.write(content, replace=self.force)


@contextlib.contextmanager
def opened(
    job: Job,
    store: Store,
    registry: Registry,
    display: Display,
    *,
    force: bool = False,
    resumed: bool = False,
) -> Iterator[OpenRun]:
    """Hold a run's workspace, say what it is, and tell plugins that it begins, and if it fails.

    Args:
        resumed: it goes on from something that lies elsewhere than in its workspace.
    """
    identity = job.identity()
    ident = run_id(identity)
    with store.workspace(ident) as folder, _no_trace_of_failure(folder), _stops_told(registry) as begun:
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
            resumed=resumed or any((folder / STAGES).rglob("*.safetensors")),
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
        stages = Stages(
            StageStore(store.root / STAGES),
            {key: identity[key] for key in ("format", "data", "execution")} | {"zslbench": __version__},
            fresh=force,
            say=display.say,
        )
        if job.mode.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        yield OpenRun(job, info, folder, store, registry, stages, force, job.mode.new_graphs())


@contextlib.contextmanager
def _no_trace_of_failure(folder: Path) -> Iterator[None]:
    """A run that fails before its first checkpoint has nothing to go on from: it was not interrupted."""
    try:
        yield
    except Interrupted:
        raise
    except Exception:
        if not any((folder / STAGES).rglob("*.safetensors")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def _stops_told(registry: Registry) -> Iterator[list[RunInfo]]:
    """Tells plugins of the runs that are put into the list and then end without a result."""
    begun: list[RunInfo] = []
    try:
        yield begun
    except BaseException as error:
        for info in begun:
            registry.call_lifecycle("zslbench_run_stopped", run=info, error=error)
        raise
