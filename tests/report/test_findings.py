"""What a suite's table says, on outcomes small enough to do by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from zslbench.evaluation.metrics import METRICS
from zslbench.experiment import Entry, Line, SuiteOutcome
from zslbench.report import Cell, leak_table, suite_findings, suite_ranks, suite_table
from zslbench.report.findings import seed_values

SEEDS = (0, 1, 2)


@pytest.fixture
def outcome(record: Any) -> Callable[..., SuiteOutcome]:
    """A suite of lines on one data set; the figures of each seed by line and selection."""

    def make(
        figures: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]],
        dataset: str = "cub",
        **options: Mapping[str, Any],
    ) -> SuiteOutcome:
        entries: dict[tuple[str, str, str], Entry] = {}
        for label, of in figures.items():
            for selection in ("val", "oracle"):
                seeds = of.get(selection, ())
                more = options.get(label, {})
                runs = {
                    seed: record(
                        label.partition(" ")[0],
                        dataset,
                        seed,
                        selection,
                        **{"identity": {"method": label}, **more, **one},
                    )
                    for seed, one in enumerate(seeds)
                }
                entries[label, dataset, selection] = Entry("done" if runs else "missing", runs)
        lines = tuple(Line(label, label.partition(" ")[0], group="embedding") for label in figures)
        return SuiteOutcome("s", "S", lines, (dataset,), ("val", "oracle"), SEEDS, entries)

    return make


def three(key: str, *values: float) -> list[dict[str, float]]:
    return [{key: one / 100} for one in values]


CLOSED = {"metrics": {"epochs": None}}
PACED = {"metrics": {"epochs": 3}}


def of(tables: Sequence[Any], start: str) -> Any:
    (table,) = (one for one in tables if one.title.startswith(start))
    return table


def column(table: Any, *header: str) -> dict[str, Cell]:
    """The cells of a column by the text of their row's first."""
    place = next(k for k, one in enumerate(table.columns) if one.header == header)
    return {row.cells[0].value: row.cells[place] for row in table.rows}


def test_one_seed_of_a_closed_form_stands_for_all(outcome: Any) -> None:
    found = outcome(
        {
            "a": {"val": three("h", 30, 31, 32)},
            "closed": {"val": three("h", 40)},
            "short": {"val": three("h", 90)},
        },
        closed=CLOSED,
        a=PACED,
        short=PACED,
    )
    h = METRICS["h"]
    assert seed_values(found, "closed", "cub", h) == pytest.approx(dict.fromkeys(SEEDS, 40))
    assert seed_values(found, "short", "cub", h) == {}
    assert {label: rank.text for label, rank in suite_ranks(found, "cub", h).items()} == {
        "a": "2 (2–2)",
        "closed": "1 (1–1)",
    }
    # The suite's own table ranks it too, without a number of seeds behind it; one seed of another is marked.
    shown = {row.cells[0].value: row.cells for row in suite_table(found, show=()).for_readers().rows}
    place = -1
    assert (shown["closed"][place].emphasis, shown["closed"][place].mark) == ("best", "")
    assert (shown["short"][place].emphasis, shown["short"][place].mark) == (None, " (1)")


def test_differences_are_paired_and_three_seeds_judge_nothing(outcome: Any) -> None:
    found = suite_findings(
        outcome(
            {"a": {"val": three("h", 30, 32, 34)}, "b": {"val": three("h", 29, 30, 31)}}, a=PACED, b=PACED
        )
    )
    table = of(found, "Differences")
    cells = column(table, "cub", "H")
    assert (cells["a"].words, cells["a"].emphasis) == ("best", "best")
    half = 4.302652729911275 * 1 / math.sqrt(3)  # t with 2 degrees of freedom; differences -1, -2, -3
    assert cells["b"].value == pytest.approx(-2)
    assert cells["b"].words == f"−2.0 (−{2 + half:.1f} to +{half - 2:.1f})"
    assert not cells["b"].tied
    assert any("3 seeds cannot show" in note for note in table.notes)


def test_with_enough_seeds_differences_are_judged(outcome: Any) -> None:
    up = [30 + k for k in range(7)]
    runs = {"a": up, "b": [one - 2 for one in up], "c": [one - 0.1 * (-1) ** one for one in up]}
    made = outcome({name: {"val": three("h", *of)} for name, of in runs.items()}, a=PACED, b=PACED, c=PACED)
    table = of(suite_findings(made), "Differences")
    cells = column(table, "cub", "H")
    assert [name for name, one in cells.items() if one.tied] == [
        n for n in ("a", "c") if cells[n].words != "best"
    ]
    assert not cells["b"].tied
    assert any("Holm" in note for note in table.notes)


def test_what_selection_on_test_images_adds(outcome: Any) -> None:
    made = outcome(
        {
            "a": {"val": [{"h": 0.30, "acc": 0.5}] * 2 + [{"h": 0.40, "acc": 0.5}],
                  "oracle": [{"h": 0.31, "acc": 0.6}, {"h": 0.32, "acc": 0.6}, {"h": 0.43, "acc": 0.6}]},
            "b": {"val": three("h", 1, 2, 3)},
        },
        a=PACED,
        b=PACED,
    )  # fmt: skip
    table = leak_table(made)
    assert table is not None
    (cell,) = column(table, "cub", "H").values()
    assert (cell.text, column(table, "cub", "Acc")["a"].text) == ("+2.0 ± 1.0", "+10.0")
    assert leak_table(replace(made, selections=("val",))) is None


def test_what_calibrated_stacking_is_worth_and_whose_offset_is_its_own(outcome: Any) -> None:
    figures = [{"h": 0.3, "h_cal": 0.4}, {"h": 0.2, "h_cal": 0.36}, {"h": 0.1, "h_cal": 0.32}]
    made = outcome(
        {"a": {"val": figures}, "own": {"val": figures}},
        a=PACED,
        own={**PACED, "identity": {"method": "own", "calibrated": "2"}},
    )
    table = of(suite_findings(made), "What calibrated")
    assert column(table, "cub", "H_cal − H")["a"].text == "+16.0 ± 6.0"
    assert [row.cells[0].mark for row in table.rows] == ["", " (calibrated)"]


def test_pairs_of_lines_that_differ_in_one_setting(outcome: Any) -> None:
    def with_(**changes: Any) -> Any:
        return {**PACED, "identity": {f"settings/classifier/{k}": one for k, one in changes.items()}}

    h = {"val": [{"h": one / 100, "val_h": 0.5} for one in (10, 20, 30)]}
    two = {"val": [{"h": one / 100, "val_h": 0.46} for one in (11, 22, 33)]}
    made = outcome(
        {"m one": h, "m two": two, "m far": h, "n": h},
        **{
            "m one": with_(lr=1.0),
            "m two": with_(lr=2.0),
            "m far": with_(lr=2.0, epochs=9),
            "n": with_(lr=3.0),
        },
    )
    table = of(suite_findings(made), "What single settings")
    assert [(row.cells[0].value, row.cells[1].value) for row in table.rows] == [
        ("m two − m one", "classifier.lr = 2.0 instead of 1.0"),
        ("m far − m two", "classifier.epochs = 9 instead of 3"),
    ]
    assert column(table, "cub", "H")["m two − m one"].text == "+2.0 ± 1.0"
    assert column(table, "cub", "H on validation")["m two − m one"].text == "−4.0"


def test_inputs_count_as_settings_and_runs_of_other_versions_do_not_differ(outcome: Any) -> None:
    h = {"val": three("h", 10, 20, 30)}
    made = outcome(
        {"m one": h, "m two": h},
        **{
            "m one": {**PACED, "features": "other", "identity": {"versions": {"zslbench": "0"}}},
            "m two": PACED,
        },
    )
    (row,) = of(suite_findings(made), "What single settings").rows
    assert row.cells[1].value == "features = res101 instead of other"


def test_the_published_order(outcome: Any) -> None:
    """Published H on CUB: TCN 52.3, ESZSL 21.0, SAE 13.6, DAZLE 58.18, MSDN 68.1."""
    ours = {"tcn": 30, "eszsl": 20, "sae": 25, "dazle": 40, "msdn": 50, "never published": 99}
    made = outcome(
        {name: {"val": three("h", value, value + 1, value + 2)} for name, value in ours.items()},
        "cub2010",
        **dict.fromkeys(ours, PACED),
    )
    assert not [one for one in suite_findings(made) if "τ" in one.title]  # CUB2010 is not CUB
    table = of(suite_findings(made, {"cub2010": "cub"}), "Agreement")
    row = next(row for row in table.rows if row.cells[2].value == "H")
    tau = stats.kendalltau([52.3, 21.0, 13.6, 58.18, 68.1], [30, 20, 25, 40, 50]).statistic
    assert (row.cells[0].value, row.cells[1].value, row.cells[3].value) == ("cub2010", "H on cub", 5)
    assert row.cells[4].value == pytest.approx(tau)
    behind = of(suite_findings(made, {"cub2010": "cub"}), "The published figures and those here")
    assert column(behind, "cub2010", "H published")["dazle"].value == 58.18
    assert column(behind, "cub2010", "H here")["dazle"].value == pytest.approx(41)


def test_rows_that_nothing_compares_with_are_not_ranked(outcome: Any) -> None:
    h = {"val": three("h", 10, 20, 30)}
    apart = {**PACED, "identity": {"transductive": ["test features"]}}
    made = outcome({"a": h, "b": h, "knows": h}, a=PACED, b=PACED, knows=apart)
    assert set(suite_ranks(made, "cub", METRICS["h"])) == {"a", "b"}
    assert suite_findings(outcome({"a": {}, "b": {}})) == []
