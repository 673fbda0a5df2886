"""Tables over several splits: the split is the unit."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import pytest

from zslbench.errors import SettingsError
from zslbench.experiment.suites.cells import Entry, SuiteOutcome
from zslbench.experiment.suites.lines import Line
from zslbench.report.comparison import comparison_frame, comparison_table
from zslbench.report.filters import Condition, Filters
from zslbench.report.over_splits import splits_table
from zslbench.report.statistics import against_best, interval
from zslbench.report.suite import suite_table

T_2 = 4.302652729911275
"""The 97.5 % quantile of Student's t with 2 degrees of freedom, from a table."""

ACC = {(1, 0): 0.10, (1, 1): 0.30, (2, 0): 0.40, (2, 1): 0.60, (10, 0): 0.75, (10, 1): 0.85}
"""By split and seed. Means of the splits in percent: 20, 50, 80; of these 50, std 30."""


@pytest.fixture
def run(record: Any) -> Any:
    """A run on a split, whose arrays and classes are its own."""

    def make(split: int, seed: int, acc: float, identity: dict[str, Any] | None = None, **more: Any) -> Any:
        own = {
            "data/split": f"split {split}",
            "data/arrays/trainval": f"{split:064d}",
            "components/dataset": f"small/split_{split}",
        }
        return record(
            dataset=f"small/split_{split}", seed=seed, acc=acc, identity=own | (identity or {}), **more
        )

    return make


def table_of(records: list[Any]) -> Any:
    return comparison_frame(records, split_sets=["small/*"])


def test_seeds_are_averaged_within_each_split_first(run: Any) -> None:
    records = [run(split, seed, acc) for (split, seed), acc in ACC.items()]
    random.Random(1).shuffle(records)
    (row,) = table_of(records).to_dict("records")
    assert (row["dataset"], row["splits"], row["seeds"]) == ("small/*", 3, 2)
    assert row["Acc_mean"] == pytest.approx(50)
    assert row["Acc_std"] == pytest.approx(30)  # over six runs it would be 28.1
    half = T_2 * 30 / math.sqrt(3)
    assert (row["Acc_low"], row["Acc_high"]) == pytest.approx((50 - half, 50 + half))
    table = comparison_table(records, split_sets=["small/*"])
    (shown,) = table.rows
    assert [cell.text for cell in shown.cells[2:4]] == ["3 × 2", "50.0 ± 30.0"]
    assert any("3 splits" in note for note in table.notes)
    # Without the name of the set each split is a data set.
    assert sorted(comparison_frame(records)["dataset"]) == [
        "small/split_1",
        "small/split_10",
        "small/split_2",
    ]


def test_one_seed_and_one_split(run: Any) -> None:
    (row,) = table_of([run(1, 0, 0.2), run(2, 0, 0.4)]).to_dict("records")
    assert (row["splits"], row["seeds"], row["Acc_mean"]) == (2, 1, pytest.approx(30))
    assert row["Acc_std"] == pytest.approx(10 * math.sqrt(2))
    (row,) = table_of([run(1, seed, 0.2 + seed / 10) for seed in range(5)]).to_dict("records")
    assert (row["splits"], row["seeds"], row["Acc_mean"]) == (1, 5, pytest.approx(40))
    assert math.isnan(row["Acc_std"]) and math.isnan(row["Acc_low"])


def test_a_split_without_all_seeds_is_left_out_and_the_row_not_ranked(run: Any) -> None:
    whole = [run(split, seed, acc) for (split, seed), acc in ACC.items()]
    part = [
        run(split, seed, acc, method="n") for (split, seed), acc in ACC.items() if (split, seed) != (2, 1)
    ]
    table = comparison_table(whole + part, split_sets=["small/*"])
    first, second = table.rows
    acc, lacking = first.cells[3], second.cells[3]
    assert (acc.text, acc.mark) == ("50.0 ± 30.0", "")
    assert (lacking.value, lacking.mark) == (pytest.approx(50), " (2)")  # of 20 and 80
    assert (acc.emphasis, lacking.emphasis) == (None, None)  # nothing is left to rank it with
    assert any("n on small/*: 1 split" in note for note in table.notes)
    # Nor is one that was never run on a split.
    fewer = [one for one in part if one.info.dataset != "small/split_2"]
    frame = table_of(whole + fewer).set_index("method")
    assert frame["splits"].to_dict() == {"m": 3, "n": 2}
    assert comparison_table(whole + fewer, split_sets=["small/*"]).rows[1].cells[3].mark == " (2)"


def test_a_figure_that_one_run_lacks_is_missing(run: Any) -> None:
    (row,) = table_of([run(1, 0, 0.2, h=None), run(1, 1, 0.2), run(2, 0, 0.2), run(2, 1, 0.2)]).to_dict(
        "records"
    )
    assert math.isnan(row["H_mean"])
    assert row["Acc_mean"] == pytest.approx(20)


@pytest.mark.parametrize(
    "change", [{"settings/classifier/lr": 0.5}, {"versions/zslbench": "2"}, {"execution/device": "cuda"}]
)
def test_unlike_runs_share_no_mean_even_on_different_splits(run: Any, change: dict[str, Any]) -> None:
    frame = table_of([run(1, 0, 0.2), run(2, 0, 0.4), run(3, 0, 0.9, change)])
    assert sorted(zip(frame["splits"], frame["Acc_mean"].round(6), strict=True)) == [(1, 90), (2, 30)]
    assert frame["differs in"].nunique() == 2


def test_a_split_whose_data_changed_is_not_counted_twice(run: Any) -> None:
    other = run(1, 0, 0.9, {"data/arrays/trainval": "f" * 64})
    frame = table_of([run(1, 0, 0.2), run(2, 0, 0.4), other])
    assert sorted(frame["splits"]) == [1, 2]
    assert sorted(frame["seeds"]) == [1, 1]


def test_methods_are_compared_split_by_split(run: Any) -> None:
    """Eight splits, each far from the next: the methods differ by 2 ± 0.5 on every one of them."""
    accs = {split: 0.1 * split for split in range(1, 9)}
    records = [run(split, seed, acc + seed / 100) for split, acc in accs.items() for seed in (0, 1)]
    records += [run(split, 0, acc - 0.02 + split % 2 / 100, method="n") for split, acc in accs.items()]
    frame = table_of(records).set_index("method")
    assert frame.loc["m", "Acc_rank"] == "best"
    assert not frame.loc["n", "Acc_tied"]
    # All eight differences have one sign: 2 of 2^8 patterns are as far from zero.
    a = {split: 100 * (acc + 0.005) for split, acc in accs.items()}
    b = {split: 100 * (acc - 0.02 + split % 2 / 100) for split, acc in accs.items()}
    found = against_best({"m": a, "n": b}, unit="split")
    assert found.verdicts["n"].p == pytest.approx(2 / 2**8)
    assert found.verdicts["n"].state == "differs"


def test_too_few_splits_are_refused_whatever_the_number_of_seeds(run: Any) -> None:
    records = [
        run(split, seed, less + split / 10 + seed / 100, method=method)
        for split in (1, 2)
        for seed in range(10)
        for method, less in (("m", 0.2), ("n", 0.1))
    ]
    table = comparison_table(records, split_sets=["small/*"])
    assert any("2 splits" in note and "6" in note for note in table.notes)
    assert not any(cell.tied for row in table.rows for cell in row.cells)


@pytest.mark.parametrize(("images", "noted"), [(10, False), (11, True)])
def test_unlike_data_sets_are_pointed_out(run: Any, images: int, noted: bool) -> None:
    records = [run(1, 0, 0.2), run(2, 0, 0.4)]
    for one, count in zip(records, (10, images), strict=True):
        one.data["images"] = count
    notes = comparison_table(records, split_sets=["small/*"]).notes
    assert any("numbers of images" in note for note in notes) == noted


@pytest.mark.parametrize("fingerprints", [("a", "b"), ("a", "a")])
def test_splits_that_are_the_same_are_pointed_out(run: Any, fingerprints: tuple[str, str]) -> None:
    records = [run(1, 0, 0.2), run(2, 0, 0.4)]
    for one, fingerprint in zip(records, fingerprints, strict=True):
        one.data["split_fingerprint"] = fingerprint
    notes = comparison_table(records, split_sets=["small/*"]).notes
    noted = any("small/split_1, small/split_2" in note for note in notes)
    assert noted == (fingerprints[0] == fingerprints[1])


def test_names_that_overlap_are_refused(run: Any) -> None:
    with pytest.raises(SettingsError):
        comparison_frame([run(1, 0, 0.2)], split_sets=["small/*", "small/split_1*"])


def test_filters(run: Any, record: Any) -> None:
    mine = [run(1, 0, 0.2), run(10, 0, 0.2)]
    other = record(dataset="cub")

    def matching(*texts: str) -> tuple[list[Any], tuple[str, ...]]:
        found = Filters(Condition.parse(text) for text in texts)
        return found.finished([*mine, other]), found.split_sets

    assert matching("dataset=Small/*") == (mine, ("small/*",))
    assert matching("dataset=small/split_10*") == (mine[1:], ("small/split_10*",))
    assert matching("dataset=small/*", "dataset=cub") == ([*mine, other], ("small/*",))
    assert matching("dataset!=small/*") == ([other], ())
    assert matching("dataset=*") == ([], ("*",))


def test_a_row_for_each_split(run: Any) -> None:
    table = splits_table("small/*", [run(split, seed, acc) for (split, seed), acc in ACC.items()])
    names = [row.cells[0].text for row in table.rows]
    assert names[:3] == ["small/split_1", "small/split_2", "small/split_10"]
    (place,) = [place for place, column in enumerate(table.columns) if column.header == ("Acc",)]
    assert [row.cells[place].text for row in table.rows] == ["20.0", "50.0", "80.0", "50.0 ± 30.0"]


def test_intervals_say_what_they_are_over() -> None:
    assert "split" in interval([1.0], "split").reason
    assert "seed" in interval([1.0]).reason


# --- suites --------------------------------------------------------------------------------------


@pytest.fixture
def outcome(run: Any) -> Any:
    """A suite of two methods on three splits and another data set."""

    def make(missing: dict[tuple[int, int], str] | None = None, **more: Any) -> SuiteOutcome:
        names = [f"small/split_{split}" for split in (1, 2, 10)]
        entries: dict[Any, Entry] = {}
        for method, less in (("m", 0.0), ("n", 0.05)):
            for split in (1, 2, 10):
                lost = {
                    seed: why for (of, seed), why in (missing or {}).items() if of == split and method == "n"
                }
                runs = {
                    seed: run(split, seed, ACC[split, seed] - less, method=method)
                    for seed in (0, 1)
                    if seed not in lost
                }
                state: Any = "done" if not lost else "partial" if runs else "failed"
                entries[method, f"small/split_{split}", "val"] = Entry(
                    state, runs, lost, "; ".join(lost.values())
                )
        lines = (Line("m", "m"), Line("n", "n"))
        sets = {"small/*": tuple(names)}
        return SuiteOutcome("s", "S", lines, tuple(names), ("val",), (0, 1), entries, split_sets=sets, **more)

    return make


def values(table: Any, row: int, key: str) -> Any:
    (place,) = [place for place, column in enumerate(table.columns) if column.key == key]
    return table.rows[row].cells[place]


def test_splits_share_the_columns_of_a_suite(outcome: Any) -> None:
    found = outcome()
    assert found.columns == ("small/*",)
    assert len(found.records) == 12
    table = suite_table(found)
    assert not any("split_" in "".join(column.header) for column in table.columns)
    assert values(table, 0, "small/*_acc_mean").text == "50.0 ± 30.0"
    assert values(table, 0, "small/*_acc_mean").emphasis == "best"
    assert values(table, 1, "small/*_acc_mean").text == "45.0 ± 30.0"
    assert values(table, 0, "small/*_splits").value == 3
    assert values(table, 0, "small/*_seeds").value == 2
    half = T_2 * 30 / math.sqrt(3)
    assert values(table, 0, "small/*_acc_high").value == pytest.approx(50 + half)


@pytest.mark.parametrize(
    ("missing", "mean", "splits"),
    [({(2, 1): "it failed"}, 45, 2), ({(10, 0): "a", (10, 1): "b"}, 30, 2)],
)
def test_an_incomplete_split_of_a_suite_is_left_out(
    outcome: Any, missing: Any, mean: float, splits: int
) -> None:
    table = suite_table(outcome(missing))
    cell = values(table, 1, "small/*_acc_mean")
    assert (cell.value, cell.mark) == (pytest.approx(mean), f" ({splits})")
    assert cell.emphasis is None
    assert any(all(text in note for text in missing.values()) for note in table.notes)


def test_a_suite_without_any_whole_split_has_no_mean(outcome: Any) -> None:
    missing = dict.fromkeys(itertools.product((1, 2, 10), (1,)), "not run")
    cell = values(suite_table(outcome(missing)), 1, "small/*_acc_mean")
    assert (cell.number, cell.text) == (False, "partial")
