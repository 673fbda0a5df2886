"""Accuracies of single classes, and which unseen classes are confused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from zslbench.evaluation import METRICS
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


def class_accuracies(report: Report) -> Mapping[str, Any] | None:
    """For each data set a chart, and tables of classes × methods with the worst class first."""
    panels = []
    for dataset in report.outcome.datasets:
        means = [(series, _mean_accuracies(report, series)) for series in report.series(dataset)]
        found = [(series, table) for series, table in means if table is not None]
        if not found:
            continue
        title = report.dataset_title(dataset)
        panels.append(
            {
                "title": title,
                "tables": [table for each in _TABLES if (table := _class_table(found, *each))["rows"]],
                "svg": _class_chart(report, title, found),
                "intervals": _intervals(report, [series for series, _ in found]),
            }
        )
    names = [one.name for one in METRICS.values() if one.classes]
    return {"panels": panels, "metrics": names} if panels else None


def _mean_accuracies(report: Report, series: Series) -> pd.DataFrame | None:
    """Accuracy of each class, mean over the seeds whose tables can be read."""
    read = [report.table(record, "classes", _COLUMNS) for record in series.records]
    tables = [table for table in read if table is not None and len(table)]
    if not tables:
        return None
    same = [table for table in tables if list(table["name"]) == list(tables[0]["name"])]
    if len(same) < len(tables):
        report.add_fault(
            f"{series.label} on {series.dataset}: class accuracies leave out seeds whose class names differ"
        )
    means = pd.concat(same).groupby("class_id")[["gzsl_accuracy", "czsl_accuracy"]].mean()
    return tables[0].set_index("class_id")[["name", "side", "images"]].join(means)


def _intervals(report: Report, shown: list[Series]) -> list[dict[str, Any]]:
    """The figures of each method's median run, with bootstrap intervals over classes."""
    from zslbench.report import ClassAccuracies, over_classes

    rows = []
    for series in shown:
        table = report.table(series.median, "classes", _COLUMNS)
        if table is not None:
            found = over_classes(ClassAccuracies.of(table)).values()
            figures = [
                (each.value, each.reason or f"{each.low:.1f} to {each.high:.1f}")
                if each.value == each.value
                else None
                for each in found
            ]
            rows.append({"label": series.label, "seed": series.median.info.seed, "figures": figures})
    return rows


def _class_table(
    found: list[tuple[Series, pd.DataFrame]], side: str, column: str, title: str
) -> dict[str, Any]:
    methods = []
    for series, table in found:
        of_side = table[(table["side"] == side) & table[column].notna()]
        if len(of_side):
            methods.append((series, of_side.set_index("name")))
    if not methods:
        return {"rows": []}
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


def _class_chart(report: Report, title: str, found: list[tuple[Series, pd.DataFrame]]) -> Any:
    if report.without_charts:
        return None
    from zslbench_report.html.charts import ClassSpread, class_chart

    spreads = []
    for series, table in found:
        accuracy = "gzsl_accuracy" if table["gzsl_accuracy"].notna().any() else "czsl_accuracy"
        sides = {
            side: 100 * table.loc[(table["side"] == side) & table[accuracy].notna(), accuracy].to_numpy(float)
            for side in ("unseen", "seen")
        }
        spreads.append(ClassSpread(series.label, series.tone, sides))
    return class_chart(spreads, report.key("classes"), f"Accuracy of each class of {title}, by method")


# --- confusion -----------------------------------------------------------------------------------

MOST_CLASSES = 10
"""Rows and columns of a matrix."""
MOST_PAIRS = 8
"""Confusions among all classes in the list."""


def confusion(report: Report) -> Mapping[str, Any] | None:
    """For each data set and method the matrix of the most confused unseen classes, and the worst pairs."""
    panels = []
    for dataset in report.outcome.datasets:
        methods = [
            found for series in report.series(dataset) if (found := _confusion(report, series)) is not None
        ]
        if methods:
            panels.append({"title": report.dataset_title(dataset), "methods": methods})
    return {"panels": panels, "most": MOST_CLASSES} if panels else None


def _confusion(report: Report, series: Series) -> dict[str, Any] | None:
    runs = []
    classes: dict[int, tuple[str, str]] = {}  # name and side
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
        matrix = _matrix(runs, "czsl_prediction", classes)
    if all("gzsl_prediction" in table for table in runs):
        pairs = _worst_pairs(runs, classes)
        seen = [number for number, (_, side) in classes.items() if side == "seen"]
        to_seen = 100 * float(np.mean([table["gzsl_prediction"].isin(seen).mean() for table in runs]))
    if not matrix and not pairs:
        return None
    return {
        "label": series.label,
        "tone": series.tone,
        "matrix": matrix,
        "pairs": pairs,
        "to_seen": to_seen,
    }


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
    """Up to ``most`` classes of the strongest confusions, pairs kept together, strongest first."""
    errors = matrix.copy()
    np.fill_diagonal(errors, 0.0)
    mutual = np.triu(errors + errors.T)
    chosen: list[int] = []
    for flat in np.argsort(-mutual, axis=None, kind="stable"):
        row, column = np.unravel_index(int(flat), mutual.shape)
        if mutual[row, column] <= 0:
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


def _worst_pairs(runs: list[pd.DataFrame], names: Mapping[int, tuple[str, str]]) -> list[dict[str, Any]]:
    """The largest shares of an unseen class that went to one other class, among all classes."""
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
        for share, label, predicted in found[:MOST_PAIRS]
    ]


def _name(names: Mapping[int, tuple[str, str]], number: int) -> str:
    return names[number][0] if number in names else f"class {number}"
