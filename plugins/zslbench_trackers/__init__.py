"""Trackers: JSON lines, TensorBoard and MLflow, through the door that is open to every plugin."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Tracker, hookimpl


@hookimpl
def zslbench_trackers() -> Iterator[Tracker]:
    yield Tracker(
        name="jsonl",
        target="zslbench_trackers.jsonl:JsonLines",
        summary="One JSON object per line: in one file per run, or in the .jsonl file that is named",
    )
    yield Tracker(
        name="tensorboard",
        target="zslbench_trackers.tensorboard:TensorBoard",
        summary="Event files for TensorBoard, below the folder that is named",
        requires=("tensorboard",),
        extra="tensorboard",
    )
    yield Tracker(
        name="mlflow",
        target="zslbench_trackers.mlflow:MLflow",
        summary="Runs of MLflow, in the folder or at the tracking URI that is named",
        requires=("mlflow", "sqlalchemy", "alembic"),
        extra="mlflow",
    )
