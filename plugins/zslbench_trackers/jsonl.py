"""JSON lines: the events of runs, one object per line, in order."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from zslbench.errors import SettingsError
from zslbench.report import final_metrics, last_evaluations, run_parameters, run_tags
from zslbench.store import RunInfo, RunRecord, parse_json
from zslbench_trackers import LogTracker, folder_of

SUFFIXES = (".jsonl", ".ndjson")
Append = Callable[..., None]
"""Appends a line of one attempt: its event and content."""


class JsonLines(LogTracker[Append]):
    """Lines ``started``, ``epoch``, ``stopped`` and ``finished`` of each run.

    Every line has ``event``, ``time`` (UTC), ``run`` (its id) and ``attempt`` (from 1; a finished run that is
    computed again is another attempt). Each line is written by one call, so several processes may write to
    one file. The last line of a killed process may be cut short; readers skip it.
    """

    def __init__(self, where: str | None, folder: Path) -> None:
        super().__init__()
        self._file: str | None = None
        if where is not None and Path(where).suffix in SUFFIXES:
            self._file, where = Path(where).name, str(Path(where).parent)
        self._folder = folder_of("jsonl", where, folder)
        self.place = str(self._folder / (self._file or ""))
        if self._file and Path(self.place).is_dir():
            raise SettingsError(f"--track jsonl={self.place}: is a folder, not a file")

    def open(self, run: RunInfo) -> tuple[Append, set[tuple[str, int]]]:
        path = self._folder / (self._file or f"{run.id}.jsonl")
        lines = [line for line in _lines(path) if line.get("run") == run.id]
        attempt = max((line["attempt"] for line in lines), default=1)
        lines = [line for line in lines if line["attempt"] == attempt]
        if any(line["event"] == "finished" for line in lines):
            attempt, lines = attempt + 1, []
        log = partial(_append, path, run.id, attempt)
        log("started", resumed=run.resumed, parameters=run_parameters(run), tags=run_tags(run))
        return log, {(line["stage"], line["epoch"]) for line in lines if line["event"] == "epoch"}

    def epoch(self, log: Append, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        log("epoch", stage=stage, epoch=epoch, metrics=dict(metrics))

    def finish(self, log: Append, run: RunInfo, record: RunRecord) -> None:
        log(
            "finished",
            selection=run.selection,
            figures=final_metrics(record),
            evaluations=[
                {"stage": stage, "epoch": epoch, "metrics": metrics}
                for stage, epoch, metrics in last_evaluations(record)
            ],
            notes=record.notes,
            folder=record.folder,
        )

    def stop(self, log: Append, reason: str, interrupted: bool) -> None:
        log("stopped", interrupted=interrupted, reason=reason)


def _append(path: Path, run: str, attempt: int, event: str, **content: Any) -> None:
    """Append a line in a single call."""
    about = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
    line = {**about, "run": run, "attempt": attempt, **content}
    text = json.dumps(line, default=str)
    finite = json.loads(text, parse_constant=lambda name: None)  # noqa: TID251  # NaN and infinity become null
    data = json.dumps(finite, separators=(",", ":")).encode("ascii") + b"\n"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        if (size := os.fstat(handle).st_size) and os.pread(handle, 1, size - 1) != b"\n":
            data = b"\n" + data  # the writer of the last line was killed
        os.write(handle, data)
    finally:
        os.close(handle)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            try:
                line = parse_json(text)
            except ValueError:
                continue
            if isinstance(line, dict) and {"event", "attempt"} <= line.keys():
                yield line
