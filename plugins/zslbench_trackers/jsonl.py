"""JSON lines: the events of runs, one object per line, in order."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from zslbench.errors import SettingsError
from zslbench.report import final_metrics, last_evaluations, run_parameters, run_tags
from zslbench.store import RunInfo, RunRecord
from zslbench_trackers import LogTracker, folder_of

SUFFIXES = (".jsonl", ".ndjson")


class JsonLines(LogTracker["_Attempt"]):
    """Lines ``started``, ``epoch``, ``stopped`` and ``finished`` of each run.

    Every line has ``event``, ``time`` (UTC), ``run`` (its id) and ``attempt`` (from 1; a finished run that is
    computed again is another attempt). Each line is written by one call, so several processes may write to
    one file. The last line of a killed process may be cut short; readers skip it.
    """

    def __init__(self, where: str | None, folder: Path) -> None:
        super().__init__()
        self._file: Path | None = None
        if where is None or Path(where).suffix not in SUFFIXES:
            self._folder = folder_of("jsonl", where, folder)
            return
        self._folder = folder_of("jsonl", str(Path(where).parent), folder)
        self._file = self._folder / Path(where).name
        if self._file.is_dir():
            raise SettingsError(f"--track jsonl={where}: is a folder, not a file")

    @property
    def place(self) -> str:
        return str(self._file or self._folder)

    def open(self, run: RunInfo) -> tuple[_Attempt, dict[str, int]]:
        path = self._file or self._folder / f"{run.id}.jsonl"
        number, last, finished = 1, dict[str, int](), False
        for line in _lines(path):
            if line.get("run") != run.id:
                continue
            if line["attempt"] > number:
                number, last, finished = line["attempt"], {}, False
            if line["event"] == "epoch":
                last[line["stage"]] = max(line["epoch"], last.get(line["stage"], 0))
            finished = finished or line["event"] == "finished"
        if finished:
            number, last = number + 1, {}
        log = _Attempt(path, run.id, number)
        log.write("started", resumed=run.resumed, parameters=run_parameters(run), tags=run_tags(run))
        return log, last

    def epoch(self, log: _Attempt, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        log.write("epoch", stage=stage, epoch=epoch, metrics=dict(metrics))

    def finish(self, log: _Attempt, run: RunInfo, record: RunRecord) -> None:
        log.write(
            "finished",
            selection=run.selection,
            figures=final_metrics(record),
            evaluations=[
                dict(zip(("stage", "epoch", "metrics"), one, strict=True)) for one in last_evaluations(record)
            ],
            notes=record.notes,
            folder=record.folder,
        )

    def stop(self, log: _Attempt, reason: str, interrupted: bool) -> None:
        log.write("stopped", interrupted=interrupted, reason=reason)


@dataclass(frozen=True)
class _Attempt:
    path: Path
    run: str
    attempt: int

    def write(self, event: str, **content: Any) -> None:
        """Append a line by one call."""
        about = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        line = {**about, "run": self.run, "attempt": self.attempt, **content}
        data = to_json(line, inf_nan_mode="null", fallback=str) + b"\n"
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
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
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and {"event", "attempt"} <= line.keys():
                yield line
