"""The comparison table: which runs share a row, and what tells rows apart."""

from __future__ import annotations

import math
from typing import Any

import pytest

from zslbench.report.comparison import comparison_frame, comparison_table


def test_seeds_share_a_row_with_mean_and_deviation(record: Any) -> None:
    frame = comparison_frame([record(seed=seed, acc=acc) for seed, acc in ((0, 0.2), (1, 0.4), (2, 0.9))])
    assert len(frame) == 1
    row = frame.iloc[0]
    assert row["seeds"] == 3
    assert row["Acc_mean"] == pytest.approx(50)
    assert row["Acc_std"] == pytest.approx(math.sqrt((30**2 + 10**2 + 40**2) / 2))
    assert row["H_std"] == pytest.approx(0)
    assert row["differs in"] == ""
    shown = comparison_table([record(seed=seed, acc=acc) for seed, acc in ((0, 0.2), (1, 0.4))])
    assert shown["cub", "CZSL", "Acc"].tolist() == ["30.0 ± 14.1"]
    assert shown["cub", "", "seeds"].tolist() == [2]


def test_a_missing_figure_is_not_averaged_over_the_other_seeds(record: Any) -> None:
    row = comparison_frame([record(seed=0, h=None), record(seed=1, h=0.5)]).iloc[0]
    assert math.isnan(row["H_mean"])
    assert math.isnan(row["H_std"])
    assert row["U_mean"] == 20
    alone = comparison_frame([record(seed=2, h=0.5)]).iloc[0]
    assert alone["H_mean"] == 50
    assert math.isnan(alone["H_std"])


UNLIKE: list[tuple[dict[str, Any], str]] = [
    ({"identity": {"settings/classifier/lr": 0.2}}, "classifier.lr"),
    ({"identity": {"versions/zslbench": "2"}}, "versions.zslbench"),
    ({"identity": {"versions/plugin common": "1 abd"}}, "versions.plugin common"),
    ({"identity": {"execution/threads": 2}}, "execution.threads"),
    ({"identity": {"execution/device": "cuda"}}, "execution.device"),
    ({"identity": {"selection/every": 5}}, "selection.every"),
    ({"identity": {"data/arrays/features": "b" * 64}}, "data.arrays.features"),
    ({"identity": {"components/classifier": "other"}}, "components.classifier"),
]


@pytest.mark.parametrize(("change", "name"), UNLIKE)
def test_unlike_runs_never_share_a_row(record: Any, change: dict[str, Any], name: str) -> None:
    """Not even where they have different seeds: their mean would be of two different things."""
    frame = comparison_frame([record(seed=0), record(seed=1, **change)])
    assert list(frame["seeds"]) == [1, 1]
    assert all(text.startswith(f"{name}=") for text in frame["differs in"])
    assert len(set(frame["differs in"])) == 2
    assert all(len(text) < 60 for text in frame["differs in"])


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"variant": "small"}, "method"),
        ({"selection": "oracle"}, "selection"),
        ({"selection": "last"}, "selection"),
        ({"method": "n"}, "method"),
        ({"features": "vit"}, "features"),
        ({"semantics": "sentence"}, "semantics"),
    ],
)
def test_what_has_a_column_of_its_own_needs_no_other(
    record: Any, change: dict[str, Any], column: str
) -> None:
    frame = comparison_frame([record(), record(**change)])
    assert list(frame["seeds"]) == [1, 1]
    assert frame[column].nunique() == 2
    assert set(frame["differs in"]) == {""}
    assert ("", "", "differs in") not in comparison_table([record(), record(**change)]).columns


def test_every_row_says_what_sets_it_apart(record: Any) -> None:
    """Also the row of the runs that lack what the others have."""
    other = record(identity={"settings/classifier/lr": 0.2, "settings/classifier/beta": 0.5})
    frame = comparison_frame([record(seed=0), record(seed=1), other])
    assert sorted(zip(frame["seeds"], frame["differs in"], strict=True)) == [
        (1, "classifier.beta=0.5, classifier.lr=0.2"),
        (2, "classifier.beta=absent, classifier.lr=0.1"),
    ]


def test_methods_by_data_sets(record: Any) -> None:
    runs = [
        record(method=m, dataset=d, h=h)
        for m, d, h in (("b", "sun", 0.1), ("a", "cub", 0.2), ("a", "sun", 0.3))
    ]
    table = comparison_table(runs)
    assert table["", "", "method"].tolist() == ["a", "b"]
    assert table["cub", "GZSL", "H"].tolist() == ["20.0", None]
    assert table["sun", "GZSL", "H"].tolist() == ["30.0", "10.0"]
    assert list(dict.fromkeys(column[0] for column in table.columns)) == ["", "cub", "sun"]


def test_the_order_of_the_runs_does_not_matter(record: Any) -> None:
    runs = [record(seed=s, method=m, acc=0.1 * s) for s in (2, 0, 1) for m in ("b", "a")]
    forward, backward = comparison_frame(runs), comparison_frame(runs[::-1])
    assert forward.equals(backward)
