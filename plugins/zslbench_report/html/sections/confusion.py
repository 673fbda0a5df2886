"""Which unseen classes are taken for which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from zslbench_report.html.subject import Shown, Subject

ID = "confusion"
TITLE = "Confused unseen classes"

MOST_CLASSES = 10
"""Rows and columns of a matrix."""
PAIRS = 8
"""Confusions among all classes that are listed."""


def build(subject: Subject) -> Mapping[str, Any] | None:
    """For each data set and method the matrix of the most confused unseen classes, and the worst pairs."""
    panels = []
    for dataset in subject.outcome.datasets:
        found = [made for one in subject.shown(dataset) if (made := _method(subject, one)) is not None]
        if found:
            panels.append({"title": subject.dataset_title(dataset), "methods": found})
    return {"panels": panels, "most": MOST_CLASSES} if panels else None


def _method(subject: Subject, one: Shown) -> dict[str, Any] | None:
    runs = []
    names: dict[int, tuple[str, str]] = {}
    for record in one.records:
        classes = subject.table(record, "classes", ("class_id", "name", "side"))
        predictions = subject.table(record, "predictions", ("side", "label"))
        if classes is not None and predictions is not None:
            names |= {
                int(number): (str(name), str(side))
                for number, name, side in zip(
                    classes["class_id"], classes["name"], classes["side"], strict=True
                )
            }
            runs.append(predictions[predictions["side"] == "unseen"])
    if not runs:
        return None
    made = {
        "label": one.label,
        "tone": one.tone,
        "seeds": len(runs),
        "matrix": None,
        "pairs": [],
        "to_seen": None,
    }
    if all("czsl_prediction" in table for table in runs):
        made["matrix"] = _matrix(runs, "czsl_prediction", names)
    if all("gzsl_prediction" in table for table in runs):
        made["pairs"] = _pairs(runs, names)
        seen = [number for number, (_, side) in names.items() if side == "seen"]
        shares = [table["gzsl_prediction"].isin(seen).mean() for table in runs]
        made["to_seen"] = 100 * float(np.mean(shares))
    return made if made["matrix"] or made["pairs"] else None


def shares(runs: list[pd.DataFrame], column: str, classes: list[int]) -> Float[np.ndarray, "n n"]:
    """Share of the images of each class (row) that were taken for each class (column), over runs."""
    place = {number: at for at, number in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)))
    totals = np.zeros(len(classes))
    for table in runs:
        for label, predicted in zip(table["label"], table[column], strict=True):
            if (row := place.get(int(label))) is not None:
                totals[row] += 1
                if (at := place.get(int(predicted))) is not None:
                    counts[row, at] += 1
    return counts / np.maximum(totals, 1)[:, None]


def most_confused(matrix: Float[np.ndarray, "n n"], most: int) -> list[int]:
    """Up to ``most`` classes of the strongest confusions, both of a pair together, strongest first."""
    apart = matrix.copy()
    np.fill_diagonal(apart, 0.0)
    both = np.triu(apart + apart.T)
    chosen: list[int] = []
    for flat in np.argsort(-both, axis=None, kind="stable"):
        row, column = np.unravel_index(int(flat), both.shape)
        if both[row, column] <= 0:
            break
        new = [int(at) for at in (row, column) if at not in chosen]
        if len(chosen) + len(new) <= most:
            chosen += new
        if len(chosen) == most:
            break
    return chosen


def _matrix(
    runs: list[pd.DataFrame], column: str, names: Mapping[int, tuple[str, str]]
) -> dict[str, Any] | None:
    classes = sorted({int(label) for table in runs for label in table["label"]})
    whole = shares(runs, column, classes)
    chosen = most_confused(whole, MOST_CLASSES)
    if not chosen:
        return None
    part = 100 * whole[np.ix_(chosen, chosen)]
    return {
        "names": [_name(names, classes[at]) for at in chosen],
        "rows": [[float(value) for value in row] for row in part],
        "rest": [max(0.0, 100 - float(row.sum())) for row in part],
        "count": len(classes),
    }


def _pairs(runs: list[pd.DataFrame], names: Mapping[int, tuple[str, str]]) -> list[dict[str, Any]]:
    """The largest shares of an unseen class that one other class was predicted for, among all classes."""
    every = pd.concat(runs)
    totals = every.groupby("label").size()
    wrong = every[every["label"] != every["gzsl_prediction"]]
    counts = wrong.groupby(["label", "gzsl_prediction"], as_index=False).size()
    found = sorted(
        (-float(number) / float(totals[label]), int(label), int(predicted))
        for label, predicted, number in counts.itertuples(index=False, name=None)
    )
    return [
        {
            "true": _name(names, label),
            "predicted": _name(names, predicted),
            "side": names.get(predicted, ("", "unknown"))[1],
            "share": -100 * share,
        }
        for share, label, predicted in found[:PAIRS]
    ]


def _name(names: Mapping[int, tuple[str, str]], number: int) -> str:
    return names[number][0] if number in names else f"class {number}"
