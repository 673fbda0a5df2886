"""A run in progress: it holds a workspace, notifies plugins, and is written into the store at its end."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import zslbench
from zslbench.data.provenance import array_sha256
from zslbench.errors import Interrupted
from zslbench.experiment.events import Display
from zslbench.experiment.fitting import embedding_inputs
from zslbench.experiment.job import ExecutionMode, Job
from zslbench.experiment.pipeline import Outcome
from zslbench.experiment.recipe import Recipe
from zslbench.plugin.lookup import Registry
from zslbench.store.identity import run_id
from zslbench.store.record import RunContent, RunInfo, RunRecord
from zslbench.store.stages import StageStore
from zslbench.store.store import Store
from zslbench.training.checkpoint import flatten
from zslbench.training.stages import Stages

if TYPE_CHECKING:
    import pandas as pd

STAGES = "stages"
"""Folder of a run's checkpoints in its workspace, and of saved stages in the store."""


class OpenRun:
    """A run that has begun and holds its workspace. Plugins are notified when it begins, and if it ends
    without a result.

    Args:
        resumed: it resumes from a checkpoint outside its own workspace.
        group: ids of all runs that are trained together with it.
    """

    def __init__(
        self,
        job: Job,
        store: Store,
        registry: Registry,
        display: Display,
        *,
        force: bool = False,
        resumed: bool = False,
        group: Sequence[str] = (),
    ) -> None:
        self.job, self.store, self.registry, self.force = job, store, registry, force
        self._open = True
        self._held = contextlib.ExitStack()
        identity = job.identity()
        ident = run_id(identity)
        self.folder = self._held.enter_context(store.workspace(ident))
        if force:  # from the start, not from what an interrupted run left
            shutil.rmtree(self.folder / STAGES, ignore_errors=True)
        self.info = RunInfo(
            id=ident,
            method=job.recipe.method,
            variant=job.recipe.variant,
            dataset=job.recipe.parts["dataset"].name,
            seed=job.seed,
            selection=job.selection.mode,
            identity=identity,
            folder=store.runs / ident,
            resumed=resumed or has_checkpoint(self.folder / STAGES),
            reading=job.recipe.reading.name if job.recipe.reading else None,
        )
        names = ("method", "variant", "dataset", "seed", "selection")
        labels: dict[str, Any] = {name: getattr(self.info, name) for name in names}
        labels |= {"label": job.recipe.label, "candidates": job.data["candidates"], "group": list(group)}
        try:
            registry.call_hook("zslbench_run_started", run=self.info)
            store.describe(self.folder, labels)
            if self.info.resumed:
                display.say(f"run {ident} resumes from its last checkpoint")
            self.stages = Stages(
                StageStore(store.root / STAGES), job.stage_identity(), fresh=force, say=display.say
            )
            if job.mode.device == "cuda":
                torch.cuda.reset_peak_memory_stats(job.mode.gpu)
        except BaseException as error:
            self.close(error)
            raise

    def close(self, error: BaseException | None = None) -> None:
        """Release the workspace, once; after an error that leaves nothing to resume, remove it."""
        if not self._open:
            return
        self._open = False
        try:
            if error is not None:
                self.registry.call_hook("zslbench_run_stopped", run=self.info, error=error)
                failed = isinstance(error, Exception) and not isinstance(error, Interrupted)
                if failed and not has_checkpoint(self.folder / STAGES):
                    shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            details = (None, None, None) if error is None else (type(error), error, error.__traceback__)
            self._held.__exit__(*details)

    def write(self, outcome: Outcome, notes: Sequence[str], environment: Mapping[str, Any]) -> RunRecord:
        """Put its result into the store.

        An embedding that reads regions is stored with every run, so that its attention maps can be drawn.

        Args:
            environment: further facts, added to those of :func:`describe`.

        Raises:
            DataError: as for :meth:`~zslbench.experiment.job.Job.require_sound_data`.
        """
        import pandas as pd

        job, evaluation = self.job, outcome.evaluation
        job.require_sound_data()
        reads_regions = embedding_inputs(job.recipe) != "features"
        if job.mode.device == "cuda":
            environment = {"gpu_memory_peak": torch.cuda.max_memory_allocated(job.mode.gpu), **environment}
        tensors = {
            f"{prefix}{kind}/{path}": tensor.detach().cpu()
            for prefix, networks in (("", outcome.networks), ("validation/", outcome.validation_networks))
            for kind, nets in networks.items()
            for path, tensor in flatten(nets).items()
        }
        weights = "all" if job.keep_weights else "embedding" if reads_regions else None
        stored = {"all": tuple(outcome.networks), "embedding": ("embedding",), None: ()}[weights]
        content = RunContent(
            info=self.info,
            metrics=outcome.metrics,
            environment={
                **describe(job.mode, job.recipe),
                **environment,
                "preset": job.recipe.preset,
                "chosen": dict(outcome.settings),
                "group": job.recipe.group,
                "stages": self.stages.events,
                "weights": weights,
                **({"debug_samples": True} if job.debug_samples else {}),
            },
            data=job.data,
            notes=[*job.dataset.notes, *notes],
            tables={
                "epochs": pd.DataFrame(list(outcome.epochs)),
                "candidates": pd.DataFrame(list(outcome.candidates)),
                "classes": evaluation.classes_table(),
                "predictions": evaluation.predictions_table(),
                "curve": evaluation.curve_table(),
                "networks": _networks_table(tensors),
            },
            networks={name: tensor for name, tensor in tensors.items() if name.partition("/")[0] in stored},
        )
        return self.store.write(content, replace=self.force)


def has_checkpoint(folder: Path) -> bool:
    return any(folder.rglob("*.safetensors"))


_PACKAGES = ("torch", "numpy", "scipy", "pandas", "pyarrow", "safetensors", "pydantic", "pluggy")


def _networks_table(tensors: Mapping[str, torch.Tensor]) -> pd.DataFrame:
    """sha256 of every fitted tensor, so that runs can be compared without their weights."""
    import pandas as pd

    return pd.DataFrame(
        {
            "tensor": list(tensors),
            "shape": ["x".join(map(str, t.shape)) for t in tensors.values()],
            "dtype": [str(t.dtype).removeprefix("torch.") for t in tensors.values()],
            "sha256": [array_sha256(t.contiguous().numpy()) for t in tensors.values()],
        }
    )


def describe(mode: ExecutionMode, recipe: Recipe) -> dict[str, Any]:
    """Versions, device, reading of the paper and, in a checkout, the git revision."""
    reading = recipe.reading
    return {
        "zslbench": zslbench.__version__,
        "plugins": {
            one.name: {
                "distribution": one.distribution,
                "version": one.version,
                "source": one.source_digest,
            }
            for one in recipe.plugins
        },
        "reading": reading
        and {"name": reading.name, "summary": reading.summary, "default": recipe.default_reading},
        **({"tuned": [dict(one) for one in recipe.tuned]} if recipe.tuned else {}),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": _packages(),
        "device": device_name(mode),
        "cpu_count": os.cpu_count(),
        "cuda": torch.version.cuda,
        "execution": mode.as_dict(),
        "git": _git(),
    }


def device_name(mode: ExecutionMode) -> str:
    """The name of the GPU or of the processor."""
    if mode.device == "cuda":
        return torch.cuda.get_device_name(mode.gpu)
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


@cache
def _packages() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}


@cache
def _git() -> dict[str, Any] | None:
    """Revision of the checkout that zslbench runs from, and whether it has local changes, as of the first
    call: most of the code is in memory by then."""
    folder = Path(zslbench.__file__).resolve().parent
    if not (folder.parent / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return {"revision": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
