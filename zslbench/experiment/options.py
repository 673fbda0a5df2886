"""The arguments of a run, declared once for the Python API, the command line, suites and tuning.

A dataclass holds the values and, for the command line, the form and help of each option. The matching
``…Keywords`` give functions the same fields as typed keywords (``**options: Unpack[RunKeywords]``), from
which they make the object (``RunOptions(**options)``). Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from zslbench.experiment.datasets import DataFiles
    from zslbench.experiment.job import ExecutionMode
    from zslbench.store.store import Store

ABLATION_DATASETS = ("cub", "sun")
"""The data sets of an ablation unless the user names others."""

Kind = Literal["text", "count", "folder", "settings"]


@dataclass(frozen=True)
class OptionInfo:
    """A field as an option of the command line."""

    help: str = ""
    kind: Kind = "text"
    """``count``: an integer of 1 or more; ``settings``: assignments, which become a mapping."""
    choices: tuple[str, ...] = ()
    repeatable: bool = False
    metavar: str | None = None
    flag: str | None = None
    """None: the field's name with dashes."""


def _option(default: Any, help: str = "", **info: Any) -> Any:
    return field(default=default, metadata={"option": OptionInfo(help, **info)})


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """What to fit, and on which files of a data set."""

    reading: str | None = _option(None, "Reading of the method's paper; zslbench methods METHOD lists them.")
    settings: Mapping[str, Any] | None = _option(
        None,
        "Override a setting, e.g. generator.lr=1e-4; repeatable.",
        kind="settings",
        flag="--set",
        metavar="KIND.NAME=VALUE",
    )
    """``{"generator.lr": 1e-4}``; settings given here are not searched on validation."""
    preset: str | Sequence[str] | None = _option(
        None,
        "Preset name, METHOD:NAME, or a TOML file; repeatable, later ones win (default: the data set's own).",
        repeatable=True,
    )
    epochs: int | None = _option(None, "Length of the schedule.", kind="count")
    """Under ``val``, the longest schedule considered."""
    every: int | None = _option(
        None, "Epochs between evaluations (default: a twentieth of the schedule).", kind="count"
    )
    features: str | None = _option(
        None, "Features file of the data set (default: res101); mean: means over regions."
    )
    semantics: str | None = _option(None, "Class semantics: att, original_att or sentence (default: att).")
    regions: str | None = _option(
        None, "Region features: a name or a path (default: the data set's, if there is only one)."
    )

    def resolved(self) -> dict[str, Any]:
        """The arguments of :func:`zslbench.experiment.recipe.resolve` among them."""
        return {name: getattr(self, name) for name in ("reading", "settings", "preset", "epochs")}

    @property
    def files(self) -> DataFiles:
        """Which of a data set's files to read."""
        from zslbench.experiment.datasets import DataFiles

        return DataFiles(self.features, self.semantics, self.regions)


@dataclass(frozen=True, kw_only=True)
class MachineOptions:
    """Where to compute and store runs, and in which arithmetic."""

    device: str = _option("auto", choices=("auto", "cpu", "cuda"))
    threads: int | None = _option(None, "CPU threads (default: torch's).", kind="count")
    precision: str = _option(
        "float32",
        "Precision of matrix products: tf32 (GPU only), or bf16 in steps of the selected schedule.",
        choices=("float32", "tf32", "bf16"),
    )
    """Part of a run's identity. With ``bf16``, preparatory stages stay in float32."""
    graphs: str = _option(
        "auto",
        "Capture training in CUDA graphs: where possible, always (or fail), or never.",
        choices=("auto", "on", "off"),
    )
    data_root: str | Path | None = _option(  # noqa: RUF009
        None, "Folder with one subfolder per data set (default: ZSLBENCH_DATA).", kind="folder"
    )
    store: str | Path | None = _option(  # noqa: RUF009
        None, "Folder of the run store (default: ZSLBENCH_STORE).", kind="folder"
    )

    def mode(self) -> ExecutionMode:
        """The execution mode on this machine.

        Raises:
            ZslbenchError: this machine does not support it.
        """
        from zslbench.experiment.job import choose_mode

        return choose_mode(self.device, self.threads, self.precision, self.graphs)

    def open_store(self) -> Store:
        """The store in use."""
        from zslbench.store.store import Store

        return Store.default(self.store)


@dataclass(frozen=True, kw_only=True)
class RunOptions(MachineOptions):
    """How to compute and track runs."""

    replicas: int | None = _option(
        None, "Maximum number of seeds trained together (default: all on a GPU, 1 on a CPU).", kind="count"
    )
    """Part of a run's identity; 1: one at a time."""
    track: str | Sequence[str] | None = _option(
        None,
        "Log runs with this tracker, e.g. tensorboard=logs (zslbench trackers lists them); repeatable; "
        "none: no tracker (default: ZSLBENCH_TRACK).",
        repeatable=True,
        metavar="NAME[=WHERE]",
    )


@dataclass(frozen=True, kw_only=True)
class SearchOptions(FitOptions, MachineOptions):
    """What a search of settings takes."""


@dataclass(frozen=True, kw_only=True)
class AllOptions(FitOptions, RunOptions):
    """What :func:`zslbench.run` and :func:`zslbench.ablate` take."""


class FitKeywords(TypedDict, total=False):
    """The fields of :class:`FitOptions` as keywords."""

    reading: str | None
    settings: Mapping[str, Any] | None
    preset: str | Sequence[str] | None
    epochs: int | None
    every: int | None
    features: str | None
    semantics: str | None
    regions: str | None


class MachineKeywords(TypedDict, total=False):
    """The fields of :class:`MachineOptions` as keywords."""

    device: str
    threads: int | None
    precision: str
    graphs: str
    data_root: str | Path | None
    store: str | Path | None


class RunKeywords(MachineKeywords, total=False):
    """The fields of :class:`RunOptions` as keywords."""

    replicas: int | None
    track: str | Sequence[str] | None


class AllKeywords(FitKeywords, RunKeywords, total=False):
    """The fields of :class:`AllOptions` as keywords."""


class SearchKeywords(FitKeywords, MachineKeywords, total=False):
    """The fields of :class:`SearchOptions` as keywords."""
