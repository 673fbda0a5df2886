"""MLflow: runs in a SQLite file, or wherever a tracking URI points (extra ``mlflow``)."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# MLflow reports its use to its makers by default; a benchmark should not.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from zslbench.errors import SettingsError
from zslbench.plugin import RunTracker
from zslbench.report import final_metrics, last_evaluations, run_parameters, run_tags, run_title
from zslbench.store import RunInfo, RunRecord
from zslbench_trackers import folder_of

for _name in ("mlflow", "alembic"):  # users need not know that tables are created
    logging.getLogger(_name).setLevel(logging.WARNING)

EXPERIMENT = "zslbench"
"""Name of the experiment unless ``MLFLOW_EXPERIMENT_NAME`` says otherwise."""

_AT_ONCE = 100
"""Parameters that MLflow accepts in one request."""
_LONGEST = 5000
"""Length of a tag or parameter that every store of MLflow accepts."""


@dataclass
class _Followed:
    id: str
    """MLflow's own id."""
    logged: dict[str, int]
    """The last epoch of each stage in MLflow."""


class MLflow(RunTracker):
    """Settings as parameters, fingerprints and versions as tags, figures as metrics ``<stage>/<figure>``.

    ``where`` is a folder (runs go to ``mlflow.db`` in it) or a tracking URI; the default is
    ``MLFLOW_TRACKING_URI``, else a folder of the store. A resumed run is found by the tag ``zslbench.run``.
    """

    def __init__(self, where: str | None, folder: Path) -> None:
        uri = where or os.environ.get("MLFLOW_TRACKING_URI")
        artifacts = None
        if uri is None or not ("://" in uri or uri in ("databricks", "uc")):
            local = folder_of("mlflow", uri, folder)
            uri, artifacts = f"sqlite:///{local / 'mlflow.db'}", (local / "artifacts").as_uri()
        self._uri = uri
        try:
            self._client = MlflowClient(tracking_uri=uri)
            self._experiment = self._experiment_id(artifacts)
        except Exception as error:
            raise SettingsError(
                f"--track mlflow={uri}: cannot be used: {' '.join(str(error).split())}"
            ) from None
        self._followed: dict[str, _Followed] = {}

    @property
    def place(self) -> str:
        return self._uri

    def run_started(self, run: RunInfo) -> None:
        found = self._unfinished(run)
        if found is not None:
            self._followed[run.id] = found
            self._client.update_run(found.id, status="RUNNING")
            return
        own = {"zslbench.run": run.id, "zslbench.selection": run.selection}
        origin = {f"zslbench.{name}": value for name, value in run_tags(run).items()}
        made = self._client.create_run(
            self._experiment, run_name=run_title(run), tags={**origin, **own}
        ).info.run_id
        self._followed[run.id] = _Followed(made, {})
        params = [Param(name, _text(value)) for name, value in run_parameters(run).items()]
        for start in range(0, len(params), _AT_ONCE):
            self._client.log_batch(made, params=params[start : start + _AT_ONCE])

    def epoch_ended(self, run: RunInfo, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        followed = self._followed[run.id]
        if epoch > followed.logged.get(stage, 0):
            self._log(followed.id, {f"{stage}/{name}": value for name, value in metrics.items()}, epoch)
            followed.logged[stage] = epoch

    def run_finished(self, run: RunInfo, record: RunRecord) -> None:
        followed = self._followed.pop(run.id)
        for stage, epoch, evaluated in last_evaluations(record):
            self._log(followed.id, {f"{stage}/{name}": value for name, value in evaluated.items()}, epoch)
        self._log(followed.id, final_metrics(record), 0)
        self._client.set_tag(followed.id, "zslbench.folder", str(record.folder))
        if record.notes:
            self._client.set_tag(followed.id, "zslbench.notes", "\n".join(record.notes)[:_LONGEST])
        self._client.log_artifact(followed.id, str(record.folder / "run.json"))
        self._client.set_terminated(followed.id, "FINISHED")

    def run_stopped(self, run: RunInfo, error: BaseException, interrupted: bool) -> None:
        followed = self._followed.pop(run.id)
        reason = "interrupted" if interrupted else f"{type(error).__name__}: {error}"
        self._client.set_tag(followed.id, "zslbench.stopped", reason[:_LONGEST])
        self._client.set_terminated(followed.id, "KILLED" if interrupted else "FAILED")

    def _experiment_id(self, artifacts: str | None) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name, artifact_location=artifacts))
            except MlflowException:  # another process created it meanwhile
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        return str(found.experiment_id)

    def _unfinished(self, run: RunInfo) -> _Followed | None:
        """MLflow's latest record of this run, unless it finished."""
        found = self._client.search_runs(
            [self._experiment],
            f"tags.`zslbench.run` = '{run.id}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        if not found or found[0].info.status == "FINISHED":
            return None
        logged: dict[str, int] = {}
        for name in found[0].data.metrics:
            stage = name.rpartition("/")[0]
            last = max(one.step for one in self._client.get_metric_history(found[0].info.run_id, name))
            logged[stage] = max(last, logged.get(stage, 0))
        return _Followed(found[0].info.run_id, logged)

    def _log(self, run: str, figures: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(
            run, metrics=[Metric(name, value, now, step) for name, value in figures.items()]
        )


def _text(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value))[:_LONGEST]
