"""Trackers: JSON lines, TensorBoard and MLflow, registered as any plugin registers one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from zslbench import Tracker, hookimpl
from zslbench.errors import SettingsError


@hookimpl
def zslbench_trackers() -> Iterator[Tracker]:
    yield Tracker(
        name="jsonl",
        target="zslbench_trackers.jsonl:JsonLines",
        summary="One JSON object per line: one file per run, or the .jsonl file that is given",
    )
    yield Tracker(
        name="tensorboard",
        target="zslbench_trackers.tensorboard:TensorBoard",
        summary="Event files for TensorBoard, below the folder that is given",
        requires=("tensorboard",),
        extra="tensorboard",
    )
    yield Tracker(
        name="mlflow",
        target="zslbench_trackers.mlflow:MLflow",
        summary="Runs of MLflow, in the folder or at the tracking URI that is given",
        requires=("mlflow", "sqlalchemy", "alembic"),
        extra="mlflow",
    )


def folder_of(tracker: str, where: str | None, default: Path) -> Path:
    """The requested folder, or the default; it is created.

    Raises:
        SettingsError: it is a file, or cannot be created or written to.
    """
    folder = Path(where).expanduser().absolute() if where else default
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"--track {tracker}={folder}: cannot be created ({error}); name another folder"
        ) from None
    if not os.access(folder, os.W_OK):
        raise SettingsError(f"--track {tracker}={folder}: cannot be written to; name another folder")
    return folder
