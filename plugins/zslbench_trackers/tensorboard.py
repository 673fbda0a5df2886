"""TensorBoard: one folder of event files per run, written by torch's own writer (extra ``tensorboard``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator
from torch.utils.tensorboard.summary import hparams
from torch.utils.tensorboard.writer import SummaryWriter

from zslbench.plugin import RunTracker
from zslbench.report import final_metrics, last_evaluations, run_parameters, run_tags, run_title
from zslbench.store import RunInfo, RunRecord
from zslbench_trackers import folder_of

_FINAL = ("final/", "oracle/")


@dataclass
class _Followed:
    writer: Any
    logged: dict[str, int]
    """The last epoch of each stage in the event files."""


class TensorBoard(RunTracker):
    """Scalars ``<stage>/<figure>`` by epoch; settings and fingerprints as text; hyper-parameters.

    A run's folder is ``<data set>/<method>/seed-<seed>-<id>``. What a resumed run has already logged is
    read from its event files. A finished run that is computed again gets a folder with ``.2`` added, etc.
    """

    def __init__(self, where: str | None, folder: Path) -> None:
        self._folder = folder_of("tensorboard", where, folder)
        self._followed: dict[str, _Followed] = {}

    @property
    def place(self) -> str:
        return str(self._folder)

    def run_started(self, run: RunInfo) -> None:
        folder, logged = self._attempt(run)
        new = not folder.exists()
        writer = SummaryWriter(str(folder))
        self._followed[run.id] = _Followed(writer, logged)
        if new:
            writer.add_text("run", run_title(run))
            writer.add_text("settings", _table(run_parameters(run)))
            writer.add_text("origin", _table(run_tags(run)))
        writer.flush()

    def epoch_ended(self, run: RunInfo, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        followed = self._followed[run.id]
        if epoch <= followed.logged.get(stage, 0):
            return
        for name, value in metrics.items():
            followed.writer.add_scalar(f"{stage}/{name}", value, epoch)
        followed.writer.flush()  # so that a killed process has logged every epoch before its checkpoint
        followed.logged[stage] = epoch

    def run_finished(self, run: RunInfo, record: RunRecord) -> None:
        writer = self._followed[run.id].writer
        for stage, epoch, evaluated in last_evaluations(record):
            for name, value in evaluated.items():
                writer.add_scalar(f"{stage}/{name}", value, epoch)
        figures = final_metrics(record)
        for name, value in figures.items():
            writer.add_scalar(name, value, 0)
        # As SummaryWriter.add_hparams does, but into this folder instead of a new one.
        settings = {name: _simple(value) for name, value in run_parameters(run).items()}
        for summary in hparams(settings, figures):  # type: ignore[no-untyped-call]
            writer.file_writer.add_summary(summary)
        for note in record.notes:
            writer.add_text("notes", note)
        self._end(run)

    def run_stopped(self, run: RunInfo, error: BaseException, interrupted: bool) -> None:
        reason = "interrupted" if interrupted else f"failed: {type(error).__name__}: {error}"
        self._followed[run.id].writer.add_text("stopped", reason)
        self._end(run)

    def close(self) -> None:
        for followed in self._followed.values():
            followed.writer.close()

    def _end(self, run: RunInfo) -> None:
        self._followed.pop(run.id).writer.close()

    def _attempt(self, run: RunInfo) -> tuple[Path, dict[str, int]]:
        """The folder of the first attempt that has not finished, and the epochs in it."""
        name = _slug(run_title(run).partition(" on ")[0])
        base = self._folder / _slug(run.dataset) / name / f"seed-{run.seed}-{run.id}"
        folder, number = base, 1
        while folder.exists():
            logged, finished = _read_back(folder)
            if not finished:
                return folder, logged
            number += 1
            folder = base.with_name(f"{base.name}.{number}")
        return folder, {}


def _read_back(folder: Path) -> tuple[dict[str, int], bool]:
    """The last epoch of each stage in the folder's event files, and whether the run finished."""
    events = EventAccumulator(str(folder), {SCALARS: 0})
    events.Reload()
    logged: dict[str, int] = {}
    finished = False
    for name in events.Tags()[SCALARS]:
        if name.startswith(_FINAL) and name.count("/") == 1:
            finished = True
            continue
        last = max(one.step for one in events.Scalars(name))
        stage = name.rpartition("/")[0]
        logged[stage] = max(last, logged.get(stage, 0))
    return logged, finished


def _table(values: Mapping[str, Any]) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in values.items())
    return f"| name | value |\n|---|---|\n{rows}"


def _simple(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else str(value)


def _slug(text: str) -> str:
    """A text as part of a file's name.

    >>> _slug("sc-egg (no-lce) [paper]")
    'sc-egg-no-lce-paper'
    """
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-")
