"""What the store keeps of a run: figures, tables, environment, and weights where they were asked for."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import zslbench
from zslbench.data.provenance import array_sha256
from zslbench.experiment.execution.job import Job
from zslbench.experiment.execution.mode import ExecutionMode
from zslbench.experiment.fitting import embedding_inputs
from zslbench.experiment.pipeline import Outcome
from zslbench.experiment.recipe import Recipe
from zslbench.store.record import RunContent, RunInfo
from zslbench.training.flat import flatten

if TYPE_CHECKING:
    import pandas as pd

_PACKAGES = ("torch", "numpy", "scipy", "pandas", "pyarrow", "safetensors", "pydantic", "pluggy")


def content_of(
    job: Job,
    info: RunInfo,
    outcome: Outcome,
    notes: Sequence[str],
    environment: Mapping[str, Any],
    stages: list[dict[str, Any]],
) -> RunContent:
    """Everything that the store keeps of a run that has ended.

    An embedding that reads regions is kept with every run, so that its attention maps can be drawn.

    Args:
        environment: facts to record beside :func:`describe`.
        stages: which stages were found and which computed.
    """
    import pandas as pd

    evaluation, reads_regions = outcome.evaluation, embedding_inputs(job.recipe) == "regions"
    tensors = {
        f"{prefix}{kind}/{path}": tensor.detach().cpu()
        for prefix, networks in (("", outcome.networks), ("validation/", outcome.validation_networks))
        for kind, nets in networks.items()
        for path, tensor in flatten(nets).items()
    }

    def is_kept(tensor: str) -> bool:
        if tensor.startswith("validation/"):
            return False
        return job.keep_weights or (reads_regions and tensor.startswith("embedding/"))

    return RunContent(
        info=info,
        metrics=outcome.metrics,
        environment={
            **describe(job.mode, job.recipe),
            **environment,
            "preset": job.recipe.preset,
            "chosen": dict(outcome.settings),
            "group": job.recipe.group,
            "stages": stages,
            "weights": "all" if job.keep_weights else "embedding" if reads_regions else None,
        },
        data=job.data,
        notes=notes,
        tables={
            "epochs": pd.DataFrame(list(outcome.epochs)),
            "candidates": pd.DataFrame(list(outcome.candidates)),
            "classes": evaluation.classes_table(),
            "predictions": evaluation.predictions_table(),
            "curve": evaluation.curve_table(),
            "networks": _networks_table(tensors),
        },
        networks={name: tensor for name, tensor in tensors.items() if is_kept(name)},
    )


def _networks_table(tensors: Mapping[str, torch.Tensor]) -> pd.DataFrame:
    """sha256 of every fitted tensor, so that two runs can be compared although weights are not kept."""
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
    """Versions, device, how the paper was read and, in a checkout, the git revision."""
    reading = recipe.reading
    return {
        "zslbench": zslbench.__version__,
        "plugins": {
            one.name: {
                "distribution": one.distribution,
                "version": one.version,
                "source": one.source_digest(),
            }
            for one in recipe.plugins
        },
        "reading": reading
        and {"name": reading.name, "summary": reading.summary, "default": recipe.default_reading},
        **({"tuned": [dict(one) for one in recipe.tuned]} if recipe.tuned else {}),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "device": device_name(mode),
        "cpu_count": os.cpu_count(),
        "cuda": torch.version.cuda,
        "execution": mode.as_dict(),
        "git": _git(),
    }


def device_name(mode: ExecutionMode) -> str:
    """The name of the GPU or of the processor."""
    if mode.device == "cuda":
        return torch.cuda.get_device_name()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git() -> dict[str, Any] | None:
    """Revision of the checkout that zslbench runs from, and whether it has local changes."""
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
