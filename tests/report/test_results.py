"""Rows of runs, and their mean ± std."""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Callable
from typing import Any

import pytest

from zslbench.evaluation.metrics import METRICS
from zslbench.report.comparison import comparison_frame, comparison_table
from zslbench.report.results import (
    dataset_label,
    mean_std,
    method_label,
    percent,
    runs_frame,
    seeds_table,
    trust_notes,
)
from zslbench.report.tables.render import emit
from zslbench.store.record import RunRecord


def test_mean_and_sample_deviation_by_hand() -> None:
    # mean (2 + 4 + 9) / 3 = 5; squares of the distances 9 + 1 + 16 = 26, over 2 is 13, root 3.606
    assert mean_std([2.0, 4.0, 9.0], METRICS["h"]).text == "5.0 ± 3.6"
    assert mean_std([7.25, 7.25], METRICS["h"]).text == "7.2 ± 0.0"
    assert mean_std([7.26], METRICS["h"]).text == "7.3"  # one seed has no deviation
    assert mean_std([1.0, math.nan], METRICS["h"]).text is None  # and what is missing is not averaged over
    assert mean_std([], METRICS["h"]).text is None


@pytest.mark.parametrize(("value", "expected"), [(0.5, 50.0), (1, 100.0), (0, 0.0)])
def test_percent(value: float, expected: float) -> None:
    assert percent(value) == expected
    assert math.isnan(percent(None))


def test_a_row_per_run_in_percent(record: Any) -> None:
    runs = [record(seed=3, acc=0.125, metrics={"epochs": 7}), record(seed=1, variant="small", h=None)]
    frame = runs_frame(runs)
    assert list(frame["seed"]) == [3, 1]
    assert list(frame["method"]) == ["m", "m (small)"]
    assert list(frame["Acc"]) == [12.5, 50.0]
    assert frame["H"].iloc[0] == 24.0
    assert math.isnan(frame["H"].iloc[1])
    assert frame["epochs"].iloc[0] == 7
    assert frame["H_cal"].isna().all()
    assert list(frame["run"]) == [one.info.id for one in runs]


def test_the_label_names_a_reading_unless_it_is_the_default(record: Any) -> None:
    def label(default: bool, **more: Any) -> str:
        how = {"name": "code", "summary": "s", "default": default}
        return method_label(record(reading="code", environment={"reading": how}, **more))

    assert label(False) == "m [code]"
    assert label(False, variant="small") == "m (small) [code]"
    assert label(True, variant="small", seed=1) == "m (small)"
    assert method_label(record(seed=2)) == "m"


def test_seeds_with_their_mean(record: Any) -> None:
    table = seeds_table([record(seed=0, acc=0.1, h=0.2), record(seed=1, acc=0.2, h=0.4)]).frame()
    assert list(table["seed"]) == ["0", "1", "mean ± std"]
    assert list(table["Acc"]) == ["10.0", "20.0", "15.0 ± 7.1"]
    assert list(table["H"]) == ["20.0", "40.0", "30.0 ± 14.1"]
    assert "H_cal" not in table.columns  # no run has one
    assert len(seeds_table([record(seed=0)]).rows) == 1  # the mean of one seed would be no news


def test_a_missing_figure_is_never_averaged(record: Any) -> None:
    table = seeds_table([record(seed=0, h_cal=0.2), record(seed=1, h=None), record(seed=2, acc=None)]).frame()
    mean = table.iloc[-1]
    assert mean[["H", "Acc", "H_cal"]].isna().all()
    assert mean["S"] == "30.0 ± 0.0"
    assert table["H_cal"].iloc[0] == "20.0"


def test_what_was_not_selected_on_validation_is_marked(record: Any) -> None:
    oracle = [record(seed=seed, selection="oracle", metrics={"h_epoch": 4}) for seed in (0, 1)]
    assert list(seeds_table(oracle).frame()["seed"]) == ["0†", "1†", "mean ± std†"]
    assert list(seeds_table(oracle).frame()["epochs"])[:2] == ["4", "4"]
    assert list(seeds_table([record(selection="last")]).frame()["seed"]) == ["0 (last)"]
    assert [text[0] for text in trust_notes(oracle)] == ["†"]
    scripts = [record(selection="oracle-scripts")]
    assert trust_notes(scripts) and list(seeds_table(scripts).frame()["seed"]) == ["0†"]
    assert not trust_notes([record(), record(selection="last")])


def test_no_digit_is_lost_on_a_narrow_terminal(record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich would cut 66.7 to 66: what does not fit is left to the terminal to wrap."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("NO_COLOR", "1")
    runs = [record(seed=seed, acc=0.6666, u=0.1 + seed / 7) for seed in (0, 1)]
    emit(seeds_table(runs), "terminal")
    for word in ("66.7", "10.0", "24.3", "66.7 ± 0.0", runs[0].info.id, runs[1].info.id, "AUSUC"):
        assert word in out.getvalue()


def test_simulated_data_are_marked(record: Callable[..., RunRecord]) -> None:
    real, drawn = record("one", dataset="cub"), record("one", dataset="sim-cub")
    drawn.data["extra"] = {"simulated": True}
    assert runs_frame([real, drawn])["simulated"].tolist() == [False, True]
    assert dataset_label("cub", [real, drawn]) == "cub"
    assert dataset_label("sim-cub", [real, drawn]) == "sim-cub (simulated)"
    tops = {column.header[0] for column in comparison_table([real, drawn]).columns}
    assert {"cub", "sim-cub (simulated)"} <= tops
    frame = comparison_frame([real, drawn]).set_index("dataset")
    assert frame["simulated"].to_dict() == {"cub": False, "sim-cub": True}
