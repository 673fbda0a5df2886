"""JSON lines: the events of runs, one object per line, in order."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zslbench.errors import SettingsError
from zslbench.plugin import RunTracker
from zslbench.report import final_metrics, last_evaluations, run_parameters, run_tags
from zslbench.store import RunInfo, RunRecord
from zslbench_trackers import folder_of

SUFFIXES = (".jsonl", ".ndjson")


@dataclass
class _Attempt:
    path: Path
    attempt: int
    logged: set[tuple[str, int]] = field(default_factory=set)
    """Stages and epochs of this attempt that the file already has."""


class JsonLines(RunTracker):
    """Lines ``started``, ``epoch``, ``stopped`` and ``finished`` of each run.

    Every line has ``event``, ``time`` (UTC), ``run`` (its id) and ``attempt`` (from 1; a finished run that is
    computed again is another attempt). Each line is written by one call, so several processes may write to
    one file. The last line of a killed process may be cut short; readers skip it.
    """

    def __init__(self, where: str | None, folder: Path) -> None:
        self._file: Path | None = None
        if where is not None and Path(where).suffix in SUFFIXES:
            self._file = Path(where).expanduser().absolute()
            folder_of("jsonl", str(self._file.parent), folder)
            if self._file.is_dir():
                raise SettingsError(f"--track jsonl={where}: is a folder, not a file")
        self._folder = folder_of("jsonl", where, folder) if self._file is None else self._file.parent
        self._attempts: dict[str, _Attempt] = {}

    @property
    def place(self) -> str:
        return str(self._file or self._folder)

    def run_started(self, run: RunInfo) -> None:
        path = self._file or self._folder / f"{run.id}.jsonl"
        attempt, finished = _read_back(path, run.id)
        if finished:
            attempt = _Attempt(path, attempt.attempt + 1)
        self._attempts[run.id] = attempt
        self._write(run, "started", resumed=run.resumed, parameters=run_parameters(run), tags=run_tags(run))

    def epoch_ended(self, run: RunInfo, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        attempt = self._attempts[run.id]
        if (stage, epoch) not in attempt.logged:
            self._write(run, "epoch", stage=stage, epoch=epoch, metrics=dict(metrics))
            attempt.logged.add((stage, epoch))

    def run_finished(self, run: RunInfo, record: RunRecord) -> None:
        self._write(
            run,
            "finished",
            selection=run.selection,
            figures=final_metrics(record),
            evaluations=[
                {"stage": stage, "epoch": epoch, "metrics": figures}
                for stage, epoch, figures in last_evaluations(record)
            ],
            notes=list(record.notes),
            folder=str(record.folder),
        )
        del self._attempts[run.id]

    def run_stopped(self, run: RunInfo, error: BaseException, interrupted: bool) -> None:
        reason = "interrupted" if interrupted else f"{type(error).__name__}: {error}"
        self._write(run, "stopped", interrupted=interrupted, reason=reason)
        del self._attempts[run.id]

    def _write(self, run: RunInfo, event: str, **content: Any) -> None:
        attempt = self._attempts[run.id]
        about = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        line = {**about, "run": run.id, "attempt": attempt.attempt, **content}
        data = (json.dumps(_json_value(line), ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
        handle = os.open(attempt.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            if (size := os.fstat(handle).st_size) and os.pread(handle, 1, size - 1) != b"\n":
                data = b"\n" + data  # the writer of the last line was killed
            os.write(handle, data)
        finally:
            os.close(handle)


def _read_back(path: Path, run: str) -> tuple[_Attempt, bool]:
    """The latest attempt of a run in the file, and whether it finished."""
    attempt, finished = _Attempt(path, 1), False
    for line in _lines(path):
        if line.get("run") != run:
            continue
        if line["attempt"] > attempt.attempt:
            attempt, finished = _Attempt(path, line["attempt"]), False
        if line["event"] == "epoch":
            attempt.logged.add((line["stage"], line["epoch"]))
        finished = finished or line["event"] == "finished"
    return attempt, finished


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


def _json_value(value: Any) -> Any:
    """JSON has no NaN and no infinities: they become null."""
    if isinstance(value, Mapping):
        return {str(key): _json_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
