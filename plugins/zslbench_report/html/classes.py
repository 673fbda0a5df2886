"""Accuracies of single classes, and which unseen classes are confused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from zslbench.evaluation import METRICS
from zslbench.report import ClassAccuracies, over_classes
from zslbench_report.html.charts import class_chart
from zslbench_report.html.report import Report, Series

# --- accuracies ----------------------------------------------------------------------------------

MOST_ROWS = 120
"""Classes in each table."""

_COLUMNS = ("class_id", "name", "side", "images", "gzsl_accuracy", "czsl_accuracy")
_TABLES = (
    ("unseen", "gzsl_accuracy", "Unseen classes among all (GZSL)"),
    ("seen", "gzsl_accuracy", "Seen classes among all (GZSL)"),
    ("unseen", "czsl_accuracy", "Unseen classes among themselves (CZSL)"),
)
_Means = list[tuple[Series, pd.DataFrame]]
"""Name, side, images and mean accuracies of each class, by class id, for each series."""


def class_accuracies(report: Report) -> Mapping[str, Any] | None:
    """For each data set a chart, and tables of classes × methods with the worst class first."""

    def panel(title: str, shown: list[Series]) -> dict[str, Any] | None:
        means = [(series, _mean_accuracies(report, series)) for series in shown]
        found = [(series, table) for series, table in means if table is not None]
        return {
            "tables": [table for each in _TABLES if (table := _class_table(found, *each)) is not None],
            "svg": _class_chart(report, title, found),
            "intervals": [row for series, _ in found for row in _interval_row(report, series)],
        } if found else None  # fmt: skip

    panels = report.panels(panel)
    names = [one.name for one in METRICS.values() if one.classes]
    return {"panels": panels, "metrics": names} if panels else None


def _mean_accuracies(report: Report, series: Series) -> pd.DataFrame | None:
    """Accuracy of each class, mean over the seeds whose tables can be read."""
    tables = [table for _, table in report.tables(series.records, "classes", _COLUMNS)]
    if not tables:
        return None
    same = [table for table in tables if list(table["name"]) == list(tables[0]["name"])]
    if len(same) < len(tables):
        report.add_fault(
            f"{series.label} on {series.dataset}: class accuracies leave out seeds whose class names differ"
        )
    means = pd.concat(same).groupby("class_id")[["gzsl_accuracy", "czsl_accuracy"]].mean()
    return tables[0].set_index("class_id")[["name", "side", "images"]].join(means)


def _interval_row(report: Report, series: Series) -> list[dict[str, Any]]:
    """The figures of a method's median run, with bootstrap intervals over classes; empty if unreadable."""
    return [
        {
            "label": series.label,
            "seed": record.info.seed,
            "figures": [
                None if np.isnan(one.value) else (one.value, one.reason or f"{one.low:.1f} to {one.high:.1f}")
                for one in over_classes(ClassAccuracies.of(table)).values()
            ],
        }
        for record, table in report.tables([series.median], "classes", _COLUMNS)
    ]


def _class_table(found: _Means, side: str, column: str, title: str) -> dict[str, Any] | None:
    """One row per class; None: no method has the column for classes of this side."""
    parts = [
        (series, table[(table["side"] == side) & table[column].notna()].set_index("name"))
        for series, table in found
    ]
    methods = [(series, table) for series, table in parts if len(table)]
    if not methods:
        return None
    frame = pd.concat([table[column] for _, table in methods], axis=1, keys=range(len(methods)))
    images = methods[0][1]["images"]
    order = frame.mean(axis=1).sort_values(kind="stable").index
    rows = [
        {
            "name": str(name),
            "images": int(images[name]) if name in images.index else None,
            "mean": 100 * float(frame.loc[name].mean()),
            "values": [None if pd.isna(value) else 100 * float(value) for value in frame.loc[name]],
        }
        for name in order[:MOST_ROWS]
    ]
    return {
        "title": title,
        "labels": [series.label for series, _ in methods],
        "rows": rows,
        "left_out": max(0, len(order) - MOST_ROWS),
        "count": len(order),
        "open": column == "gzsl_accuracy" and side == "unseen",
    }


def _class_chart(report: Report, title: str, found: _Means) -> Any:
    methods = []
    for series, table in found:
        accuracy = "gzsl_accuracy" if table["gzsl_accuracy"].notna().any() else "czsl_accuracy"
        table = table[table[accuracy].notna()]
        sides = {
            side: 100 * table.loc[table["side"] == side, accuracy].to_numpy(float)
            for side in ("unseen", "seen")
        }
        methods.append((series.label, series.tone, sides))
    return report.draw(class_chart, "classes", f"Accuracy of each class of {title}, by method", methods)


# --- confusion -----------------------------------------------------------------------------------

MOST_CLASSES = 10
"""Rows and columns of a matrix."""
MOST_PAIRS = 8
"""Confusions among all classes in the list."""

_Classes = Mapping[int, tuple[str, str]]
"""Name and side of each class, by class id."""


def confusion(report: Report) -> Mapping[str, Any] | None:
    """For each data set and method the matrix of the most confused unseen classes, and the worst pairs."""

    def panel(title: str, shown: list[Series]) -> dict[str, Any] | None:
        methods = [found for series in shown if (found := _confusion(report, series)) is not None]
        return {"methods": methods} if methods else None

    panels = report.panels(panel)
    return {"panels": panels, "most": MOST_CLASSES} if panels else None


def _confusion(report: Report, series: Series) -> dict[str, Any] | None:
    runs: list[pd.DataFrame] = []
    classes: dict[int, tuple[str, str]] = {}
    for record in series.records:
        table = report.table(record, "classes", ("class_id", "name", "side"))
        predictions = report.table(record, "predictions", ("side", "label"))
        if table is not None and predictions is not None:
            columns = zip(table["class_id"], table["name"], table["side"], strict=True)
            classes |= {int(number): (str(name), str(side)) for number, name, side in columns}
            runs.append(predictions[predictions["side"] == "unseen"])
    if not runs:
        return None
    matrix, pairs, to_seen = None, [], None
    if all("czsl_prediction" in table for table in runs):
        matrix = _matrix(runs, classes)
    if all("gzsl_prediction" in table for table in runs):
        pairs = _worst_pairs(pd.concat(runs), classes)
        seen = [number for number, (_, side) in classes.items() if side == "seen"]
        to_seen = 100 * float(np.mean([table["gzsl_prediction"].isin(seen).mean() for table in runs]))
    if not matrix and not pairs:
        return None
    found = {"matrix": matrix, "pairs": pairs, "to_seen": to_seen}
    return {"label": series.label, "tone": series.tone, **found}


def shares(runs: Sequence[pd.DataFrame], column: str, classes: list[int]) -> Float[np.ndarray, "n n"]:
    """Share of the images of each class (row) that were predicted as each class (column), over runs."""
    every = pd.concat(runs)
    counts = pd.crosstab(every["label"], every[column])
    part = counts.reindex(index=classes, columns=classes, fill_value=0).to_numpy(float)
    totals = counts.sum(axis=1).reindex(classes, fill_value=0).to_numpy(float)
    return np.asarray(part / np.maximum(totals, 1)[:, None])


def most_confused(matrix: Float[np.ndarray, "n n"], most: int) -> list[int]:
    """Up to ``most`` classes of the strongest confusions, in pairs, strongest first."""
    errors = matrix.copy()
    np.fill_diagonal(errors, 0.0)
    mutual = np.triu(errors + errors.T)
    chosen: list[int] = []
    for flat in np.argsort(-mutual, axis=None, kind="stable"):
        row, column = np.unravel_index(int(flat), mutual.shape)
        if mutual[row, column] <= 0 or len(chosen) == most:
            break
        new = [int(at) for at in (row, column) if at not in chosen]
        if len(chosen) + len(new) <= most:
            chosen += new
    return chosen


def _matrix(runs: list[pd.DataFrame], names: _Classes) -> dict[str, Any] | None:
    classes = sorted({int(label) for table in runs for label in table["label"]})
    matrix = shares(runs, "czsl_prediction", classes)
    chosen = most_confused(matrix, MOST_CLASSES)
    if not chosen:
        return None
    part = 100 * matrix[np.ix_(chosen, chosen)]
    return {
        "names": [_name(names, classes[at]) for at in chosen],
        "rows": part.tolist(),
        "rest": [max(0.0, 100 - float(row.sum())) for row in part],
        "count": len(classes),
    }


def _worst_pairs(every: pd.DataFrame, names: _Classes) -> list[dict[str, Any]]:
    """The largest shares of an unseen class that went to one other class, among all classes."""
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
        for share, label, predicted in found[:MOST_PAIRS]
    ]


def _name(names: _Classes, number: int) -> str:
    return names[number][0] if number in names else f"class {number}"
