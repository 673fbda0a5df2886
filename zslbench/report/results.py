"""Frames of results: one row per run, and seeds with mean ± std. Figures in percent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from zslbench.evaluation.metrics import METRICS, criteria
from zslbench.experiment.recipe import label_text
from zslbench.store.record import RunRecord

ORACLE_MARK = "†"
ORACLE_NOTE = (
    f"{ORACLE_MARK} oracle: epochs and classifiers chosen on the test images, Acc and H apart, as published "
    "codes do; never compare with the other rows"
)


def runs_frame(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per run: what it is, its figures in percent (NaN where it has none), epochs and time."""
    return pd.DataFrame(
        [
            {
                "method": method_label(record),
                "dataset": record.info.dataset,
                "simulated": is_simulated(record),
                "features": record.data["features"],
                "semantics": record.data["semantics"],
                "selection": record.info.selection,
                "seed": record.info.seed,
                **{one.name: one.of(record.metrics) for one in METRICS.values()},
                "epochs": _epochs(record),
                "seconds": record.environment.get("seconds"),
                "run": record.info.id,
            }
            for record in records
        ]
    )


def seeds_table(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row per seed and a last row with mean ± sample standard deviation (two seeds at least)."""
    runs = runs_frame(records)
    shown = [one for one in METRICS.values() if one.headline or runs[one.name].notna().any()]
    table = pd.DataFrame(
        {
            "seed": [
                f"{seed}{selection_mark(record)}" for seed, record in zip(runs["seed"], records, strict=True)
            ],
            **{one.name: [number(value, one.digits) for value in runs[one.name]] for one in shown},
            "epochs": [None if pd.isna(value) else str(int(value)) for value in runs["epochs"]],
            "run": runs["run"],
        }
    )
    if len(runs) > 1:
        table.loc[len(table)] = {
            "seed": f"mean ± std{selection_mark(records[0])}",
            **{one.name: mean_std(runs[one.name], one.digits) for one in shown},
            "epochs": None,
            "run": None,
        }
    return table


def method_label(record: RunRecord) -> str:
    """Method, variant, and the reading where it is not the method's first."""
    how = record.environment.get("reading") or {}
    reading = None if how.get("default") else record.info.reading
    return label_text(record.info.method, record.info.variant, reading)


def is_simulated(record: RunRecord) -> bool:
    """Whether the run's data are not real."""
    return bool(record.data.get("extra", {}).get("simulated"))


def dataset_label(name: str, records: Sequence[RunRecord]) -> str:
    """The data set's name as tables for readers show it: ``toy (simulated)``."""
    simulated = any(is_simulated(one) for one in records if one.info.dataset == name)
    return f"{name} (simulated)" if simulated else name


def percent(value: object) -> float:
    """A fraction in percent; NaN for a figure that is missing."""
    return 100 * float(value) if isinstance(value, (int, float)) else math.nan


def mean_std(values: pd.Series[float], digits: int = 1) -> str | None:
    """``"45.1 ± 0.3"``; the mean alone for one seed; None where a seed's figure is missing."""
    if values.isna().any() or not len(values):
        return None
    return (
        number(values.mean(), digits)
        if len(values) == 1
        else f"{values.mean():.{digits}f} ± {values.std(ddof=1):.{digits}f}"
    )


def has_oracle(records: Sequence[RunRecord]) -> bool:
    """Whether any of the runs was selected on test images."""
    return any(record.info.selection == "oracle" for record in records)


def selection_label(selection: str) -> str:
    """The name of a selection as tables show it."""
    return f"{selection}{ORACLE_MARK}" if selection == "oracle" else selection


def selection_mark(record: RunRecord) -> str:
    """What a number that was not selected on validation carries wherever it is shown."""
    return {"oracle": ORACLE_MARK, "last": " (last)"}.get(record.info.selection, "")


def _epochs(record: RunRecord) -> object:
    keys = ("epochs", *(f"{one.key}_epoch" for one in reversed(criteria())))
    return next((record.metrics[key] for key in keys if record.metrics.get(key)), None)


def number(value: float, digits: int = 1) -> str | None:
    """With that many decimals; None for NaN."""
    return None if math.isnan(value) else f"{value:.{digits}f}"
