"""What a run was computed with: versions, device, source revision. Recorded, not part of its identity."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import zslbench
from zslbench.experiment.execution.mode import ExecutionMode
from zslbench.experiment.recipe import Recipe

_PACKAGES = ("torch", "numpy", "scipy", "pandas", "pyarrow", "safetensors", "pydantic", "pluggy")


def describe(mode: ExecutionMode, recipe: Recipe) -> dict[str, Any]:
    """Versions, device, how the paper was read and, in a checkout, the git revision."""
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
        "reading": _reading(recipe),
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
    """The GPU's or the processor's name."""
    if mode.device == "cuda":
        return torch.cuda.get_device_name()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _reading(recipe: Recipe) -> dict[str, Any] | None:
    """The reading, and whether it was the method's first when the run was computed; None: there are none."""
    if recipe.reading is None:
        return None
    return {
        "name": recipe.reading.name,
        "summary": recipe.reading.summary,
        "default": recipe.default_reading,
    }


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
    try:
        revision = _run(folder, "rev-parse", "HEAD")
        return {"revision": revision, "changed": bool(_run(folder, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
