"""A run's predictions on the test images, with file names, and its confusions of classes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zslbench.data.folder import label_files
from zslbench.data.locations import data_root as choose_root, find_folder
from zslbench.data.named import find_dataset
from zslbench.data.provenance import array_sha256
from zslbench.data.validate import Findings
from zslbench.errors import DataError, UnknownName
from zslbench.plugin.lookup import Registry
from zslbench.store.record import RunRecord

if TYPE_CHECKING:
    import pandas as pd


def predictions_frame(
    record: RunRecord, known: Registry, data_root: str | Path | None = None
) -> pd.DataFrame:
    """One row per test image: ``image`` (row in the data set), ``file``, ``side``, ``class``, and for GZSL
    and CZSL the predicted class and whether it counts as correct (a tie does not); ``gzsl_margin`` is the
    highest score of a seen class minus that of an unseen one.

    ``file`` is missing where the data set's files are not on this machine, do not name its images, or label
    them otherwise than in the run.
    """
    classes, table = record.table("classes"), record.table("predictions")
    names, files = classes.set_index("class_id")["name"], image_files(record, known, data_root)
    shown: list[Any] = [None if files is None else files[image] for image in table["image"]]
    found = table[["image"]].assign(
        file=shown,
        side=table["side"],
        **{"class": table["label"].map(names)},
    )
    for column in table.columns[3:]:  # -1: not scored
        found[column] = table[column].map(names) if column.endswith("_prediction") else table[column]
    if "czsl_correct" in found:
        found["czsl_correct"] = found["czsl_correct"].astype("boolean").where(found["side"] == "unseen")
    return found


def confusions_frame(record: RunRecord) -> pd.DataFrame:
    """A run's confusion matrices, from stored predictions: a row for each pair of classes that occurs.

    Columns: ``task`` (``GZSL`` or ``CZSL``), ``class``, its ``side``, ``predicted`` with ``predicted_side``,
    ``images`` and their ``share`` of the class's test images in percent. The diagonal is included.
    ``predicted`` is missing if the true class ties with another for the highest score, which counts as wrong.
    """
    import pandas as pd

    classes, table = record.table("classes").set_index("class_id"), record.table("predictions")
    found = []
    for task in ("GZSL", "CZSL"):
        column = f"{task.lower()}_prediction"
        if column not in table:
            continue
        scored = table if task == "GZSL" else table[table["side"] == "unseen"]
        tied = (scored[column] == scored["label"]) & ~scored[f"{task.lower()}_correct"]
        counts = scored.assign(predicted=scored[column].mask(tied, -1)).groupby(["label", "predicted"]).size()
        each = counts.rename("images").reset_index()
        each.insert(0, "task", task)
        each["share"] = 100 * each["images"] / each.groupby("label")["images"].transform("sum")
        found.append(each)
    every = (
        pd.concat(found) if found else pd.DataFrame(columns=["task", "label", "predicted", "images", "share"])
    )
    named = {
        "task": every["task"],
        "class": every["label"].map(classes["name"]),
        "side": every["label"].map(classes["side"]),
        "predicted": every["predicted"].map(classes["name"]),
        "predicted_side": every["predicted"].map(classes["side"]),
        "images": every["images"],
        "share": every["share"],
    }
    return pd.DataFrame(named).reset_index(drop=True)


def most_confused(confusions: pd.DataFrame, count: int) -> pd.DataFrame:
    """The ``count`` most frequent confusions of each task, by share of the class and then by images."""
    wrong = confusions[confusions["class"] != confusions["predicted"]]
    ordered = wrong.sort_values(["share", "images"], ascending=False, kind="stable")
    first = ordered.groupby("task", sort=False).head(count)
    return first.sort_values("task", ascending=False, kind="stable").reset_index(drop=True)


def image_files(
    record: RunRecord, known: Registry, data_root: str | Path | None = None
) -> tuple[str, ...] | None:
    """Names of all images of the run's data set, by row; None: they are unknown, or of other data."""
    labels = {one["array"]: one["sha256"] for one in record.data["arrays"]}["labels"]
    with contextlib.suppress(UnknownName, DataError):  # the data set is not on this machine
        part = find_dataset(known, record.info.identity["components"]["dataset"], root=data_root)
        declared = part.declaration.folder
        folder = find_folder(choose_root(data_root), declared) if declared else None
        for listed in label_files(folder, Findings(), unreadable="warning") if folder else ():
            if listed.image_files is not None and array_sha256(listed.labels) == labels:
                return listed.image_files
    return None
