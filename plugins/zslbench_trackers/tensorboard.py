"""TensorBoard: one folder of event files per run, written by torch's own writer (extra ``tensorboard``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator
from torch.utils.tensorboard.summary import hparams
from torch.utils.tensorboard.writer import SummaryWriter

from zslbench.output import visible
from zslbench.report import (
    final_metrics,
    last_evaluations,
    markdown_escaped,
    run_parameters,
    run_tags,
    run_title,
)
from zslbench.store import RunInfo, RunRecord, path_name
from zslbench_trackers import LogTracker, folder_of


class TensorBoard(LogTracker[Any]):
    """Scalars ``<stage>/<figure>`` by epoch; settings and fingerprints as text; hyper-parameters.

    A run's folder is ``<data set>/<method>/seed-<seed>-<id>``. What a resumed run has already logged is
    read from its event files. A finished run that is computed again gets another folder, ``….2``.
    """

    def __init__(self, where: str | None, folder: Path) -> None:
        super().__init__()
        self._folder = folder_of("tensorboard", where, folder)
        self.place = str(self._folder)

    def open(self, run: RunInfo) -> tuple[Any, set[tuple[str, int]]]:
        folder, logged = self._attempt(run)
        new = not folder.exists()
        log = SummaryWriter(str(folder))
        if new:
            log.add_text("run", markdown_escaped(run_title(run)))
            log.add_text("settings", _table(run_parameters(run)))
            log.add_text("origin", _table(run_tags(run)))
        log.flush()
        return log, logged

    def epoch(self, log: Any, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            log.add_scalar(visible(f"{stage}/{name}"), value, epoch)
        log.flush()  # so that a killed process has logged every epoch before its checkpoint

    def finish(self, log: Any, run: RunInfo, record: RunRecord) -> None:
        for stage, epoch, metrics in last_evaluations(record):
            self.epoch(log, stage, epoch, metrics)
        figures = final_metrics(record)
        for name, value in figures.items():
            log.add_scalar(visible(name), value, 0)
        # As SummaryWriter.add_hparams does, but into this folder instead of a new one.
        settings = {
            name: value if isinstance(value, bool | int | float) else visible(str(value))
            for name, value in run_parameters(run).items()
        }
        for summary in hparams(settings, figures):  # type: ignore[no-untyped-call]
            log.file_writer.add_summary(summary)
        for note in record.notes:
            log.add_text("notes", markdown_escaped(note))
        log.close()

    def stop(self, log: Any, reason: str, interrupted: bool) -> None:
        log.add_text("stopped", markdown_escaped(reason if interrupted else f"failed: {reason}"))
        log.close()

    def close(self) -> None:
        for log, _ in self.logs.values():
            log.close()

    def _attempt(self, run: RunInfo) -> tuple[Path, set[tuple[str, int]]]:
        """The folder of the first attempt that has not finished, and the epochs in it."""
        name = _slug(run_title(run).partition(" on ")[0])
        base = self._folder / path_name(run.dataset) / name / f"seed-{run.seed}-{run.id}"
        folder, number = base, 1
        while folder.exists():
            events = EventAccumulator(str(folder), {SCALARS: 0})
            events.Reload()
            points = {name.rpartition("/")[::2]: events.Scalars(name) for name in events.Tags()[SCALARS]}
            if not any(stage in ("final", "oracle", "transductive") for stage, _ in points):
                return folder, {(stage, one.step) for (stage, _), found in points.items() for one in found}
            number += 1
            folder = base.with_name(f"{base.name}.{number}")
        return folder, set()


def _table(values: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f"| {markdown_escaped(name)} | {markdown_escaped(str(value))} |" for name, value in values.items()
    )
    return f"| name | value |\n|---|---|\n{rows}"


def _slug(text: str) -> str:
    """A text as part of a file's name.

    >>> _slug("sc-egg (no-lce) [paper]")
    'sc-egg-no-lce-paper'
    """
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-")
