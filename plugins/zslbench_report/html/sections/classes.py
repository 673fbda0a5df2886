"""Accuracies of single classes: how they are spread, and which are worst."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from zslbench_report.html.subject import Shown, Subject

ID = "classes"
TITLE = "Accuracy of each class"

MOST_ROWS = 120
"""Classes of a side that are told one by one."""

_COLUMNS = ("class_id", "name", "side", "images", "gzsl_accuracy", "czsl_accuracy")
_SIDES = (
    ("unseen", "gzsl_accuracy", "Unseen classes among all (GZSL)"),
    ("seen", "gzsl_accuracy", "Seen classes among all (GZSL)"),
    ("unseen", "czsl_accuracy", "Unseen classes among themselves (CZSL)"),
)


def build(subject: Subject) -> Mapping[str, Any] | None:
    """For each data set a chart and, for each side, a table of classes × methods, the worst class first."""
    panels = []
    for dataset in subject.outcome.datasets:
        found = [(one, _mean(subject, one)) for one in subject.shown(dataset)]
        kept = [(one, table) for one, table in found if table is not None]
        if not kept:
            continue
        title = subject.dataset_title(dataset)
        tables = [made for side in _SIDES if (made := _side(kept, *side))["rows"]]
        svg, intervals = _drawn(subject, title, kept), _intervals(subject, [one for one, _ in kept])
        panels.append({"title": title, "tables": tables, "svg": svg, "intervals": intervals})
    return {"panels": panels, "most": MOST_ROWS} if panels else None


def _mean(subject: Subject, one: Shown) -> pd.DataFrame | None:
    """Accuracy of each class, mean over the seeds that can be read."""
    read = [subject.table(record, "classes", _COLUMNS) for record in one.records]
    tables = [table for table in read if table is not None and len(table)]
    if not tables:
        return None
    first = tables[0].set_index("class_id")
    same = [table for table in tables if list(table["name"]) == list(tables[0]["name"])]
    if len(same) < len(tables):
        subject.tell(
            f"{one.label} on {one.dataset}: seeds with other class names are left out of the classes"
        )
    both = pd.concat(same).groupby("class_id")[["gzsl_accuracy", "czsl_accuracy"]].mean()
    return first[["name", "side", "images"]].join(both)


def _intervals(subject: Subject, shown: list[Shown]) -> list[dict[str, Any]]:
    """For each method its median run's figures, with the bootstrap's intervals over classes."""
    from zslbench.report.statistics.bootstrap import ClassAccuracies, over_classes

    rows = []
    for one in shown:
        table = subject.table(one.median, "classes", _COLUMNS)
        if table is None:
            continue
        found = over_classes(ClassAccuracies.of(table))
        figures = [
            (each.value, each.reason or f"{each.low:.1f} to {each.high:.1f}")
            if each.value == each.value
            else None
            for each in found.values()
        ]
        rows.append({"label": one.label, "seed": one.median.info.seed, "figures": figures})
    return rows


def _side(kept: list[tuple[Shown, pd.DataFrame]], side: str, column: str, title: str) -> dict[str, Any]:
    of_methods = []
    for one, table in kept:
        here = table[(table["side"] == side) & table[column].notna()]
        if len(here):
            of_methods.append((one, here.set_index("name")[column], here.set_index("name")["images"]))
    if not of_methods:
        return {"rows": []}
    frame = pd.concat([values for _, values, _ in of_methods], axis=1, keys=range(len(of_methods)))
    images = of_methods[0][2]
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
        "labels": [one.label for one, _, _ in of_methods],
        "tones": [one.tone for one, _, _ in of_methods],
        "rows": rows,
        "left_out": max(0, len(order) - MOST_ROWS),
        "count": len(order),
        "open": column == "gzsl_accuracy" and side == "unseen",
    }


def _drawn(subject: Subject, title: str, kept: list[tuple[Shown, pd.DataFrame]]) -> Any:
    if subject.without_charts:
        return None
    from zslbench_report.html.charts.classes import ClassSpread, classes

    spread = []
    for one, table in kept:
        accuracy = "gzsl_accuracy" if table["gzsl_accuracy"].notna().any() else "czsl_accuracy"
        sides = {
            side: 100 * table.loc[(table["side"] == side) & table[accuracy].notna(), accuracy].to_numpy(float)
            for side in ("unseen", "seen")
        }
        spread.append(ClassSpread(one.label, one.tone, sides))
    return classes(spread, subject.key("classes"), f"Accuracy of each class of {title}, by method")
