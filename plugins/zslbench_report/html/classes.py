"""Accuracies of single classes, and which unseen classes are confused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from zslbench.evaluation import METRICS
from zslbench.report import over_classes
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
        tables = [_class_table(found, *each) for each in _TABLES]
        return {
            "tables": [table for table in tables if table is not None],
            "svg": _class_chart(report, title, found),
            "intervals": [row for series, _ in found for row in _interval_row(report, series)],
        } if found else None  # fmt: skip

    return report.panels(panel, metrics=[one.name for one in METRICS.values() if one.classes])


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
                None if np.isnan(one.mean) else (one.mean, one.reason or f"{one.low:.1f} to {one.high:.1f}")
                for one in over_classes(table).values()
            ],
        }
        for record, table in report.tables([series.median], "classes", _COLUMNS)
    ]


def _class_table(found: _Means, side: str, column: str, title: str) -> dict[str, Any] | None:
    """One row per class; None: no method has the column for classes of this side."""
    parts = {
        series.label: table[(table["side"] == side) & table[column].notna()].set_index("name")
        for series, table in found
    }
    methods = {label: table for label, table in parts.items() if len(table)}
    if not methods:
        return None
    frame = pd.concat({label: table[column] for label, table in methods.items()}, axis=1)
    frame.insert(0, "", frame.mean(axis=1))
    frame = 100 * frame.sort_values("", kind="stable")
    images = next(iter(methods.values()))["images"].to_dict()
    return {
        "title": title,
        "labels": list(methods),
        "rows": [(str(name), images.get(name), values) for name, *values in frame[:MOST_ROWS].itertuples()],
        "left_out": max(0, len(frame) - MOST_ROWS),
        "count": len(frame),
        "open": column == "gzsl_accuracy" and side == "unseen",
    }


def _class_chart(report: Report, title: str, found: _Means) -> Any:
    methods = []
    for series, table in found:
        accuracy = "gzsl_accuracy" if table["gzsl_accuracy"].notna().any() else "czsl_accuracy"
        values = table.set_index("side")[accuracy].dropna()
        sides = {side: 100 * values[values.index == side].to_numpy(float) for side in ("unseen", "seen")}
        methods.append((series.label, series.tone, sides))
    return report.draw(class_chart, "classes", f"Accuracy of each class of {title}, by method", methods)


# --- confusion -----------------------------------------------------------------------------------

MOST_CLASSES = 10
"""Rows and columns of a matrix."""
MOST_PAIRS = 8
"""Confusions among all classes in the list."""

_Names = Mapping[Any, str]
"""Names, or sides, of classes by class id."""


def confusion(report: Report) -> Mapping[str, Any] | None:
    """For each data set and method the matrix of the most confused unseen classes, and the worst pairs."""

    def panel(title: str, shown: list[Series]) -> dict[str, Any] | None:
        methods = [found for series in shown if (found := _confusion(report, series)) is not None]
        return {"methods": methods} if methods else None

    return report.panels(panel, most=MOST_CLASSES)


def _confusion(report: Report, series: Series) -> dict[str, Any] | None:
    runs, classes = list[pd.DataFrame](), list[pd.DataFrame]()
    for record in series.records:
        table = report.table(record, "classes", ("class_id", "name", "side"))
        predictions = report.table(record, "predictions", ("side", "label"))
        if table is not None and predictions is not None:
            classes.append(table.set_index("class_id")[["name", "side"]].astype(str))
            runs.append(predictions[predictions["side"] == "unseen"])
    if not runs:
        return None
    names, sides = (pd.concat(classes)[column].to_dict() for column in ("name", "side"))
    matrix, pairs, to_seen = None, [], None
    if all("czsl_prediction" in table for table in runs):
        matrix = _matrix(runs, names)
    if all("gzsl_prediction" in table for table in runs):
        pairs = _worst_pairs(pd.concat(runs), names, sides)
        to_seen = 100 * float(np.mean([one["gzsl_prediction"].map(sides).eq("seen").mean() for one in runs]))
    if not matrix and not pairs:
        return None
    found = {"matrix": matrix, "pairs": pairs, "to_seen": to_seen}
    return {"label": series.label, "tone": series.tone, **found}


def shares(runs: Sequence[pd.DataFrame], column: str, classes: list[int]) -> Float[np.ndarray, "n n"]:
    """Share of the images of each class (row) that were predicted as each class (column), over runs."""
    every = pd.concat(runs)
    part = pd.crosstab(every["label"], every[column], normalize="index")
    return part.reindex(index=classes, columns=classes, fill_value=0).to_numpy(float)


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


def _matrix(runs: list[pd.DataFrame], names: _Names) -> dict[str, Any] | None:
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


def _worst_pairs(every: pd.DataFrame, names: _Names, sides: _Names) -> list[dict[str, Any]]:
    """The largest shares of an unseen class that went to one other class, among all classes."""
    wrong = every[every["label"] != every["gzsl_prediction"]].groupby(["label", "gzsl_prediction"]).size()
    part = wrong.div(every.groupby("label").size(), level="label").sort_values(ascending=False, kind="stable")
    return [
        {
            "true": _name(names, label),
            "predicted": _name(names, predicted),
            "side": sides.get(predicted, "unknown"),
            "share": 100 * share,
        }
        for label, predicted, share in part[:MOST_PAIRS].reset_index().itertuples(index=False, name=None)
    ]


def _name(names: _Names, number: int) -> str:
    return names.get(number, f"class {number}")
