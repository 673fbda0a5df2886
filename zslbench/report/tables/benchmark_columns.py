"""The columns of a suite's table, by readers' headers and programs' keys."""

from __future__ import annotations

from zslbench.evaluation.metrics import headline_metrics
from zslbench.experiment.suites.resolving import Line
from zslbench.experiment.suites.results import SuiteOutcome
from zslbench.report.results import dataset_label
from zslbench.report.tables.model import Cell, Column

ABOUT = ("method", "variant", "reading", "row", "selection")
"""What programs are told of a row."""


def columns(outcome: SuiteOutcome) -> list[Column]:
    """For readers the method and four figures a data set; for programs everything that is known of them."""
    found = [
        Column(("", "", "method"), "line", numeric=False),
        *(Column(("", "", key), key, numeric=False, readers=False) for key in ABOUT),
    ]
    for dataset in outcome.datasets:
        label = dataset_label(dataset, outcome.records)
        for key in ("state", "source"):
            found.append(Column((label, "", key), f"{dataset}_{key}", numeric=False, readers=False))
        found.append(Column((label, "", "seeds"), f"{dataset}_seeds", readers=False))
        for metric in headline_metrics():
            part, figure, key = metric.group, metric.name, f"{dataset}_{metric.key}"
            found.append(Column((label, part, figure), f"{key}_mean"))
            for name in ("std", "low", "high"):
                found.append(Column((label, part, f"{figure} {name}"), f"{key}_{name}", readers=False))
            found.append(
                Column((label, part, f"{figure} verdict"), f"{key}_verdict", numeric=False, readers=False)
            )
    return found


def about(line: Line, row: str, selection: str | None) -> list[Cell]:
    """The cells of ``ABOUT``; ``row`` is ``ours``, another selection, ``published`` or ``difference``."""
    values = (line.method, line.variant, line.reading, row, selection)
    return [Cell(value, value) for value in values]
