"""One run to compute: its recipe, data, seed and execution mode; its identity."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

import zslbench
from zslbench.data.regions.store import RegionStore
from zslbench.errors import SettingsError, ZslbenchError
from zslbench.evaluation.candidates import ALL, TEST
from zslbench.evaluation.selection import Selection
from zslbench.experiment.fitting import embedding_inputs
from zslbench.experiment.recipe import Recipe
from zslbench.plugin.boundary import printing_to_stderr
from zslbench.plugin.dataset import Dataset
from zslbench.plugin.lookup import files_digest
from zslbench.plugin.process import START, preserved
from zslbench.store.parsing import LARGEST, MOST_SEEDS
from zslbench.training.graphs import Graphs
from zslbench.training.step import PRECISIONS, Precision, float32_products

_memory: Any = torch.utils.deterministic  # a module whose setting is a property
MOST_THREADS = 1024
"""torch accepts any number, and ends the process when the system refuses that many."""


@dataclass(frozen=True)
class ExecutionMode:
    """How a run is computed; part of its identity."""

    device: Literal["cpu", "cuda"]
    precision: Precision = "float32"
    """That of matrix products: ``tf32`` in the whole run, ``bf16`` only in steps of paced programs."""
    threads: int = 1
    """CPU threads of torch; 0 on a GPU, where they do not change the numbers."""
    replicas: int = 1
    """Seeds trained together in one step."""
    graphs: Literal["auto", "on", "off"] = "off"
    """Whether to capture iterations in CUDA graphs: where possible (``auto``), all (``on``) or none."""
    gpu: int | None = field(default=None, compare=False)
    """Which GPU; None: torch's current one. Not part of the identity."""

    def as_dict(self) -> dict[str, Any]:
        """As plain data; ``graphs`` becomes whether there are any, and is left out on a CPU."""
        values = asdict(self)
        del values["gpu"]
        values["graphs"] = self.graphs != "off"
        if self.device == "cpu":
            del values["graphs"]
        return values

    def new_graphs(self) -> Graphs | None:
        """What captures the iterations of a run; None: they are not captured."""
        return None if self.graphs == "off" else Graphs(required=self.graphs == "on")


def choose_mode(
    device: str = "auto",
    threads: int | None = None,
    precision: str = "float32",
    graphs: str = "auto",
    elsewhere: bool = False,
) -> ExecutionMode:
    """The mode that a user requests; device ``auto`` is a GPU if there is one, ``cuda:1`` the second GPU.

    Args:
        elsewhere: for another machine, whose GPUs torch does not see here.

    Raises:
        ZslbenchError: an unknown device, a GPU where torch sees none, or a precision or graphs that the
            device does not support.
    """
    asked, (device, colon, number) = device, device.partition(":")
    if colon and (device != "cuda" or not number.isdecimal()):
        raise ZslbenchError(f"--device {asked}: choose auto, cpu, cuda, or one GPU as in cuda:1")
    for option, value, choices in (
        ("precision", precision, PRECISIONS),
        ("graphs", graphs, ("auto", "on", "off")),
        ("device", device, ("auto", "cpu", "cuda")),
    ):
        if value not in choices:
            raise ZslbenchError(f"--{option} {value}: choose {', '.join(choices)}")
    available = device == "cuda" if elsewhere else torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ZslbenchError(
            f"--device {asked}: torch finds no GPU; check nvidia-smi and that torch is a CUDA build, "
            "or use --device cpu"
        )
    gpu = int(number) if colon else None
    if gpu is not None and not elsewhere and gpu >= (count := torch.cuda.device_count()):
        there = ", ".join(f"cuda:{one}" for one in range(count))
        raise ZslbenchError(f"--device {asked}: torch finds no such GPU; choose {there}")
    if available and device != "cpu":
        return ExecutionMode("cuda", precision, threads=0, graphs=graphs, gpu=gpu)  # type: ignore[arg-type]
    if precision == "tf32":
        raise ZslbenchError("--precision tf32: needs a GPU; use float32 or bf16")
    if graphs == "on":
        raise ZslbenchError(
            "--graphs on: CUDA graphs need a GPU, and this run is on the CPU; use auto or off"
        )
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise ZslbenchError(f"--threads {threads}: must be from 1 to {MOST_THREADS}")
    return ExecutionMode("cpu", precision, threads or torch.get_num_threads())  # type: ignore[arg-type]


@contextlib.contextmanager
def applied(mode: ExecutionMode, seed: int = 0) -> Iterator[torch.device]:
    """Compute in this mode, and restore the process's global state afterwards, whatever plugins do to it.

    This includes the global random generators, from which plugins draw when they build modules or data
    loaders. They start from ``seed``, so that even a plugin that wrongly uses them is repeatable. On a
    GPU deterministic algorithms are switched on; an operation without one warns. Uninitialised memory is not
    filled, since that would double the kernels of every draw. Printed text goes to standard error.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    if mode.device == "cuda":
        # cuBLAS reads it when its first handle is made; without it matrix products are not repeatable.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    gpu = torch.cuda.device(mode.gpu) if mode.gpu is not None else contextlib.nullcontext()
    with (
        gpu,
        preserved(START),
        torch.random.fork_rng(devices=[torch.cuda.current_device()] if mode.device == "cuda" else []),
        float32_products(mode.precision),
        printing_to_stderr(),
    ):
        try:
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            if mode.threads:
                torch.set_num_threads(mode.threads)
            if mode.device == "cuda":  # the switch alone imports seconds of compiler, and the CPU needs none
                torch.use_deterministic_algorithms(True, warn_only=True)
                _memory.fill_uninitialized_memory = False
            yield torch.device(mode.device)
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


IDENTITY_FORMAT = 2
"""Incremented when the meaning of a run's identity changes, so that no old run is taken for a new one."""

NUMERIC_LAYERS = ("plugin", "data", "training", "evaluation", "experiment")
"""Packages of the core whose code affects numbers: all files in them count, new ones by default."""

NOT_NUMERIC = (
    "experiment/suites",
    "experiment/published.py",
    "experiment/events.py",
    "experiment/fitted_run.py",
    "experiment/options.py",
    "experiment/samples.py",
)
"""What does not count in them: suites, published figures, observers of runs, finished runs loaded again,
declarations of options."""


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
    debug_samples: bool = False
    """Whether epochs record statistics of synthetic features; no other number depends on it."""

    def identity(self) -> dict[str, Any]:
        """Everything that the run's numbers depend on."""
        chosen = {"classes": self.data["candidates_digest"]}
        if self.data["candidates"] == ALL:  # a file's name is only a label
            chosen["name"] = ALL
        return {
            "format": IDENTITY_FORMAT,
            **requested(self.recipe, self.selection),
            "data": {
                "features": self.data["features"],
                "semantics": self.data["semantics"],
                "split": self.data["split_fingerprint"],
                "validation": self.data["validation_fingerprint"],
                "finetuned": self.data["finetuned"],
                "described": self.data["described"],
                # By default they follow from labels and split.
                **({} if self.data["candidates"] == TEST else {"candidates": chosen}),
                "arrays": {one["array"]: one["sha256"] for one in self.data["arrays"]},
            },
            "seed": self.seed,
            "versions": versions(self.recipe),
            "execution": self.mode.as_dict(),
        }

    def require_sound_data(self) -> None:
        """Make sure that the run's regions are those of its identity; called before anything is saved.

        Raises:
            DataError: the region store differs from its digests, or changed since it was opened.
        """
        if isinstance(regions := self.dataset.regions, RegionStore):
            regions.require_sound() if self.data["regions"]["verified"] else regions.require_unchanged()

    def stage_identity(self) -> dict[str, Any]:
        """What every saved stage of the run depends on."""
        identity = self.identity()
        return {key: identity[key] for key in ("format", "data", "execution")} | {"zslbench": core_version()}


def requested(recipe: Recipe, selection: Selection) -> dict[str, Any]:
    """The part of an identity that does not depend on data, seed, machine and versions."""
    validated = selection.mode != "last"
    return {
        "method": recipe.method,
        "variant": recipe.variant,
        **({"reading": recipe.reading.name} if recipe.reading else {}),
        **({"transductive": list(recipe.transductive)} if recipe.transductive else {}),
        **({"fine-tuned": True} if embedding_inputs(recipe) == "images" else {}),
        **({"calibrated": recipe.calibrated} if recipe.calibrated else {}),
        "components": {kind: part.name for kind, part in recipe.parts.items()},
        "settings": {kind: part.values() for kind, part in recipe.parts.items()},
        "search": {key: list(values) for key, values in recipe.search.items()} if validated else {},
        "tasks": list(recipe.tasks),
        "selection": {
            "mode": selection.mode,
            "every": selection.step(recipe.epochs) if recipe.epochs and validated else None,
            **({} if recipe.until is None else {"until": recipe.until}),
        },
    }


def versions(recipe: Recipe) -> dict[str, str]:
    """Versions and source digests of the core and of the recipe's plugins."""
    plugins = {f"plugin {one.name}": one.source for one in recipe.plugins}
    return {"zslbench": core_version(), **plugins}


def core_version() -> str:
    """The core's version, and a digest of its numeric code, so that an edited core makes new runs."""
    return f"{zslbench.__version__} {_core_digest(Path(zslbench.__file__))}"


@functools.cache
def _core_digest(package: Path) -> str:
    core = package.resolve().parent
    files = {
        path.relative_to(core).as_posix(): path
        for layer in NUMERIC_LAYERS
        for path in (core / layer).rglob("*.py")
    }
    skipped = tuple(f"{one}/" for one in NOT_NUMERIC)
    return files_digest(core, [files[name] for name in sorted(files) if not f"{name}/".startswith(skipped)])


def seed_numbers(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Seeds 0 to n-1 for a number n, or the seeds of a list.

    Raises:
        SettingsError: there are none or over 10,000, or one is negative, repeated or too large for 64 bits.
    """
    numbers = tuple(range(min(seeds, MOST_SEEDS + 1)) if isinstance(seeds, int) else seeds)
    if not numbers or not all(0 <= seed <= LARGEST for seed in numbers) or len(set(numbers)) != len(numbers):
        raise SettingsError(f"seeds {seeds}: give the number of seeds, or different seeds of 0 or more")
    if len(numbers) > MOST_SEEDS:
        raise SettingsError(f"more than {MOST_SEEDS:,} seeds")
    return numbers


def replicas_for(requested: int | None, runs: int, recipe: Recipe, mode: ExecutionMode) -> int:
    """The largest number of runs of a recipe to train together.

    By default all of them on a GPU and one on a CPU, where a replica takes about as long as a run by itself.
    A closed form has nothing to share.

    Raises:
        SettingsError: fewer than one is requested.
    """
    if requested is not None and requested < 1:
        raise SettingsError(f"replicas {requested}: must be 1 or more")
    if recipe.paced is None:
        return 1
    return requested or (runs if mode.device == "cuda" else 1)


def lift_key(recipe: Recipe) -> Hashable:
    """Equal for recipes that may be trained together: they differ only in floats of the same sign.

    A float of 0 often switches a term off, which makes another training step, and an optimiser has one rate
    for everything that it updates.
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
