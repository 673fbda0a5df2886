"""MLflow: runs in a SQLite file, or wherever a tracking URI points (extra ``mlflow``)."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import posixpath
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# MLflow reports its use to its makers by default; a benchmark should not.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from zslbench.errors import SettingsError
from zslbench.output import visible_lines
from zslbench.report import (
    final_metrics,
    last_evaluations,
    run_parameters,
    run_tags,
    run_title,
)
from zslbench.store import RunInfo, RunRecord
from zslbench_trackers import LogTracker, folder_of

for _name in ("mlflow", "alembic"):  # they announce every table that they create
    logging.getLogger(_name).setLevel(logging.WARNING)

_LONGEST = 5000
"""Length of a tag or parameter that every store of MLflow accepts."""
_LONGEST_KEY = 200


class MLflow(LogTracker[str]):
    """Settings as parameters, fingerprints and versions as tags, figures as metrics ``<stage>/<figure>``.

    ``where`` is a folder (runs go to ``mlflow.db`` in it) or a tracking URI; the default is
    ``MLFLOW_TRACKING_URI``, else a folder of the store. A log is the id that MLflow gives a run; a
    resumed run is found by the tag ``zslbench.run``.
    """

    def __init__(self, where: str | None, folder: Path) -> None:
        super().__init__()
        uri = where or os.environ.get("MLFLOW_TRACKING_URI")
        artifacts = None
        if uri is None or not ("://" in uri or uri in ("databricks", "uc")):
            local = folder_of("mlflow", uri, folder)
            uri, artifacts = f"sqlite:///{local / 'mlflow.db'}", (local / "artifacts").as_uri()
        self.place = uri
        try:
            self._client = MlflowClient(tracking_uri=uri)
            self._experiment = self._experiment_id(artifacts)
        except Exception as error:
            text = " ".join(str(error).split())
            raise SettingsError(f"--track mlflow={uri}: cannot be used: {text}") from None

    def open(self, run: RunInfo) -> tuple[str, set[tuple[str, int]]]:
        found = self._client.search_runs(
            [self._experiment],
            f"tags.`zslbench.run` = '{run.id}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        if found and found[0].info.status != "FINISHED":
            log = found[0].info.run_id
            self._client.update_run(log, status="RUNNING")
            return log, {
                (name.rpartition("/")[0], point.step)
                for name in found[0].data.metrics
                for point in self._client.get_metric_history(log, name)
            }
        own = {"zslbench.run": run.id, "zslbench.selection": run.selection}
        tags = {_key(f"zslbench.{name}"): _text(value) for name, value in run_tags(run).items()} | own
        log = self._client.create_run(self._experiment, run_name=_text(run_title(run)), tags=tags).info.run_id
        params = [Param(_key(name), _text(value)) for name, value in run_parameters(run).items()]
        self._client.log_batch(log, params=params)
        return log, set()

    def epoch(self, log: str, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        self._write(log, {f"{stage}/{name}": value for name, value in metrics.items()}, epoch)

    def finish(self, log: str, run: RunInfo, record: RunRecord) -> None:
        for stage, epoch, metrics in last_evaluations(record):
            self.epoch(log, stage, epoch, metrics)
        self._write(log, final_metrics(record), 0)
        self._client.set_tag(log, "zslbench.folder", _text(str(record.folder)))
        if record.notes:
            self._client.set_tag(log, "zslbench.notes", _text("\n".join(record.notes)))
        self._client.log_artifact(log, str(record.folder / "run.json"))
        self._client.set_terminated(log, "FINISHED")

    def stop(self, log: str, reason: str, interrupted: bool) -> None:
        self._client.set_tag(log, "zslbench.stopped", _text(reason))
        self._client.set_terminated(log, "KILLED" if interrupted else "FAILED")

    def _write(self, log: str, figures: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [Metric(_key(name), value, now, step) for name, value in figures.items()]
        self._client.log_batch(log, metrics=metrics)

    def _experiment_id(self, artifacts: str | None) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "zslbench"
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name, artifact_location=artifacts))
            except MlflowException:  # another process created it meanwhile
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)


def _text(value: Any) -> str:
    return visible_lines(value if isinstance(value, str) else json.dumps(value))[:_LONGEST]


def _key(name: str) -> str:
    """The name in a form that MLflow allows; changed names end with a digest, so that no two collide."""
    key = posixpath.normpath(re.sub(r"[^A-Za-z0-9_./: -]", "_", name))[:_LONGEST_KEY].lstrip("./")
    return key if key == name else f"{key}-{hashlib.sha256(ascii(name).encode()).hexdigest()[:8]}"
