"""The arguments of a run, declared once for the Python API, the command line, suites and tuning.

A dataclass holds the values and, for the command line, the arguments of ``click.option``. Functions take its
fields as keywords, of which they make the object (``RunOptions(**options)``). Imports nothing heavy.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from zslbench.errors import did_you_mean
from zslbench.store.parsing import LARGEST, MOST_SEEDS

if TYPE_CHECKING:
    _StringType = click.ParamType[str]
    from zslbench.experiment.datasets import DataFiles, StoreCheck
    from zslbench.experiment.job import ExecutionMode
    from zslbench.store.store import Store
else:
    _StringType = click.ParamType  # generic from click 8.3 on

F = TypeVar("F", bound=Callable[..., Any])

COUNT = click.IntRange(1, 1_000_000)
SEED = click.IntRange(0, LARGEST)
SEEDS = click.IntRange(1, MOST_SEEDS)
FOLDER = click.Path(file_okay=False, path_type=Path)


class _Device(_StringType):
    name = "auto|cpu|cuda|cuda:N"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", str(value)):
            self.fail(f"{value!r}: choose auto, cpu, cuda, or one GPU of several, as in cuda:1")
        return str(value)


def _option(default: Any, help: str = "", flag: str | None = None, **declared: Any) -> Any:
    """A field, and how the command line declares it; ``flag``: None: its name with dashes."""
    return field(default=default, metadata={"flag": flag, "help": help or None, **declared})


def _given(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> Any:
    """None where a repeatable option was not given, so that an environment variable can apply."""
    return value or None


def _assignments(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> Any:
    from zslbench.plugin.presets import parse_assignment

    return dict(map(parse_assignment, value))


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """What to fit, and on which files of a data set."""

    reading: str | None = _option(None, "Reading of the method's paper; zslbench methods METHOD lists them.")
    settings: Mapping[str, Any] | None = _option(
        None,
        "Override a setting, e.g. generator.lr=1e-4; repeatable.",
        flag="--set",
        multiple=True,
        callback=_assignments,
        metavar="KIND.NAME=VALUE",
    )
    """``{"generator.lr": 1e-4}``; settings given here are not searched on validation."""
    preset: str | Sequence[str] | None = _option(
        None,
        "Preset name, METHOD:NAME, or a TOML file; repeatable, later ones win (default: the data set's own).",
        multiple=True,
        callback=_given,
    )
    epochs: int | None = _option(None, "Length of the schedule.", type=COUNT)
    """Under ``val``, the longest schedule considered."""
    every: int | None = _option(
        None,
        "Epochs between evaluations (default: a twentieth of the schedule; oracle-scripts: 1).",
        type=COUNT,
    )
    features: str | None = _option(
        None, "Features file of the data set (default: res101); mean: means over regions."
    )
    semantics: str | None = _option(
        None,
        "Class semantics: att, original_att, sentence, a name that zslbench data semantics wrote, or a .npy "
        "or CSV file of class vectors (default: att).",
    )
    regions: str | None = _option(
        None, "Region features: a name or a path (default: the data set's, if there is only one)."
    )
    images: str | None = _option(
        None,
        "Folder of the pictures, for methods that read them (default: the data set's).",
        metavar="FOLDER",
    )

    def resolved(self) -> dict[str, Any]:
        """The arguments of :func:`zslbench.experiment.recipe.resolve` among them."""
        return {name: getattr(self, name) for name in ("reading", "settings", "preset", "epochs")}

    @property
    def files(self) -> DataFiles:
        """Which of a data set's files to read."""
        from zslbench.experiment.datasets import DataFiles

        return DataFiles(self.features, self.semantics, self.regions, images=self.images)


@dataclass(frozen=True, kw_only=True)
class MachineOptions:
    """Where to compute and store runs, and in which arithmetic."""

    device: str = _option(
        "auto", "cuda:N: one GPU of several.", type=_Device(), metavar="[auto|cpu|cuda|cuda:N]"
    )
    threads: int | None = _option(None, "CPU threads (default: torch's).", type=COUNT)
    precision: str = _option(
        "float32",
        "Precision of matrix products: tf32 (GPU only), or bf16 in steps of the selected schedule.",
        type=click.Choice(("float32", "tf32", "bf16")),
    )
    """Part of a run's identity. With ``bf16``, preparatory stages stay in float32."""
    graphs: str = _option(
        "auto",
        "Capture training in CUDA graphs: where possible, always (or fail), or never.",
        type=click.Choice(("auto", "on", "off")),
    )
    data_root: str | Path | None = _option(  # noqa: RUF009
        None, "Folder with one subfolder per data set (default: ZSLBENCH_DATA).", type=FOLDER
    )
    store: str | Path | None = _option(  # noqa: RUF009
        None, "Folder of the run store (default: ZSLBENCH_STORE).", type=FOLDER
    )

    def mode(self, elsewhere: bool = False) -> ExecutionMode:
        """The execution mode; ZslbenchError if this machine (``elsewhere``: any) does not support it."""
        from zslbench.experiment.job import choose_mode

        return choose_mode(self.device, self.threads, self.precision, self.graphs, elsewhere)

    def open_store(self) -> Store:
        """The store in use."""
        from zslbench.store.store import Store

        return Store.default(self.store)


@dataclass(frozen=True, kw_only=True)
class RunOptions(MachineOptions):
    """How to compute and track runs."""

    replicas: int | None = _option(
        None, "Maximum number of seeds trained together (default: all on a GPU, 1 on a CPU).", type=COUNT
    )
    """Part of a run's identity; 1: one at a time."""
    trust_store: bool = _option(
        False, "Do not compare a region store with its digests; marks runs as unverified.", is_flag=True
    )
    """Part of a run's identity."""
    debug_samples: bool = _option(
        False,
        "Record statistics of synthetic features after every epoch of a generator's training.",
        is_flag=True,
    )
    """No other number of a run depends on it."""
    track: str | Sequence[str] | None = _option(
        None,
        "Log runs with this tracker, e.g. tensorboard=logs (zslbench trackers lists them); repeatable; "
        "none: no tracker (default: ZSLBENCH_TRACK).",
        multiple=True,
        callback=_given,
        metavar="NAME[=WHERE]",
    )

    executor: str = _option("local", "Where to compute runs: local (this machine), gpus (each of its GPUs), "
        "or one of a plugin.", metavar="NAME")  # fmt: skip
    executor_options: Mapping[str, str] | None = None
    """The executor's own, as text; on the command line ``--NAME KEY=VALUE``."""
    workers: int | None = _option(
        None,
        "Processes that compute runs side by side (default: none, this process computes them one by one; "
        "with --gpus, one per GPU).",
        type=COUNT,
    )
    gpus: str | None = _option(None, "GPUs of this machine to compute on, e.g. 0,1,2,3.", metavar="N,...")

    @property
    def store_check(self) -> StoreCheck:
        """When to compare a region store with its digests."""
        return "never" if self.trust_store else "later"


@dataclass(frozen=True, kw_only=True)
class SearchOptions(FitOptions, MachineOptions):
    """What a search of settings takes."""


@dataclass(frozen=True, kw_only=True)
class AllOptions(FitOptions, RunOptions):
    """What :func:`zslbench.run` and :func:`zslbench.ablate` take."""

    candidates: str | Path | None = _option(  # noqa: RUF009
        None,
        "Unseen classes to score: those with test images (test, the default), all, or those that a file "
        "lists, one per line. Results with other than the default are marked.",
        metavar="test|all|FILE",
    )

    @property
    def files(self) -> DataFiles:
        """Which of a data set's files to read, and its candidates."""
        chosen = self.candidates
        if isinstance(chosen, Path):  # a file, even one called all
            chosen = str(chosen.expanduser().absolute())
        return replace(super().files, candidates=chosen)


def takes(*sources: Callable[..., Any]) -> Callable[[F], F]:
    """Show the keywords of ``sources``, to which a function passes its ``**options``, in its signature.

    A keyword that none of them has is a TypeError that names the nearest one.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        shown = {name: one for name, one in signature.parameters.items() if one.kind is not one.VAR_KEYWORD}
        for source in sources:
            for name, one in inspect.signature(source).parameters.items():
                if one.kind is one.KEYWORD_ONLY:
                    shown.setdefault(name, one)

        @wraps(function)
        def checked(*args: Any, **options: Any) -> Any:
            for name in options:
                if name not in shown:
                    raise TypeError(
                        f"{function.__name__}(): no argument '{name}', {did_you_mean(name, shown)}"
                    )
            return function(*args, **options)

        checked.__signature__ = signature.replace(parameters=list(shown.values()))  # type: ignore[attr-defined]
        return cast(F, checked)

    return decorate
