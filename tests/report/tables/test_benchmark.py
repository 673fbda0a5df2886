"""The comparison table of a suite, from real runs of ``quick``, and from the paper's suite without a run."""

from __future__ import annotations

import copy
import csv
import io
import json
import math
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from zslbench.errors import SettingsError
from zslbench.experiment import Entry, PublishedResults, SuiteOutcome, find_suite, suite_outcome
from zslbench.plugin.discovery import registry
from zslbench.report.suite import SHOW, suite_table
from zslbench.report.tables.model import Cell, Row, Table
from zslbench.report.tables.render import FORMATS, render
from zslbench.store.store import Store

FIGURES = ("acc", "u", "s", "h")
RESULTS = """method,group,citation,dataset,acc,u,s,h,source,semantics,finetuned,features,note
Odd,generative,A 2020,toy,{acc},40.0,60.0,52.0,Paper Table 1,att,no,,
Sentences,generative,B 2021,toy,70.0,,,,Paper Table 1,sent1024,no,,
Agrees,embedding,C 2022,toy,,40.0,60.0,48.0,Another paper,att,no,,
"""


@pytest.fixture
def outcome(quick_store: tuple[Store, SuiteOutcome]) -> SuiteOutcome:
    return quick_store[1]


def rows(table: Table, line: str) -> list[Row]:
    """The rows of a line: its own, and those below it."""
    return [row for row in table.rows if row.cells[0].value == line]


def cell(table: Table, row: Row, key: str) -> Cell:
    (place,) = [i for i, column in enumerate(table.columns) if column.key == key]
    return row.cells[place]


def values(entry: Entry, figure: str) -> list[float]:
    """In percent, straight from the records."""
    return [100 * float(record.metrics[figure]) for record in entry.records.values()]  # type: ignore[arg-type]


def changed(outcome: SuiteOutcome, key: tuple[str, str, str], **what: Any) -> SuiteOutcome:
    entries = dict(outcome.entries)
    entries[key] = replace(entries[key], **what)
    return replace(outcome, entries=entries)


def compared(outcome: SuiteOutcome, names: dict[str, str]) -> SuiteOutcome:
    """The outcome whose lines are called so in published results."""
    lines = tuple(replace(one, published=names.get(one.label)) for one in outcome.lines)
    return replace(outcome, lines=lines)


def printed(acc: float = 50.0) -> PublishedResults:
    return PublishedResults.read(
        RESULTS.format(acc=f"{acc:.1f}"), "source,kind,method\nPaper Table 1,paper,\nAnother paper,paper,\n"
    )


def test_every_figure_is_that_of_the_runs(outcome: SuiteOutcome) -> None:
    table = suite_table(outcome)
    shown = suite_table(outcome, show=("oracle", "interval"))
    for (label, dataset, selection), entry in outcome.entries.items():
        for found in (table, shown):
            (row,) = [
                one for one in rows(found, label) if one.kind == ("" if selection == "val" else selection)
            ]
            for figure in FIGURES:
                one = cell(found, row, f"{dataset}_{figure}_mean")
                if not entry.records:
                    assert (one.text, one.value) == ("missing" if figure == "acc" else None, None)
                    continue
                of = values(entry, figure)
                mean, std = statistics.mean(of), statistics.stdev(of)
                assert one.value == pytest.approx(mean)
                half = stats.t.ppf(0.975, len(of) - 1) * std / math.sqrt(len(of))
                constant = max(of) - min(of) < 1e-9
                if found is table:
                    assert one.text == f"{mean:.1f} ± {std:.1f}"
                else:
                    assert one.text == (f"{mean:.1f}" if constant else f"{mean:.1f} ± {half:.1f}")
    assert "± std over 3 seeds" in table.title
    assert "95 % interval" in shown.title


def test_best_and_second_are_of_the_validated_rows_alone(outcome: SuiteOutcome) -> None:
    table = suite_table(outcome)
    for figure in FIGURES:
        means = {
            line.label: statistics.mean(values(outcome.entries[line.label, "toy", "val"], figure))
            for line in outcome.lines
        }
        order = sorted(means, key=lambda label: -means[label])
        got = {
            row.cells[0].value: cell(table, row, f"toy_{figure}_mean").emphasis
            for row in table.rows
            if not row.kind
        }
        best = {label for label in means if means[label] == pytest.approx(means[order[0]])}
        assert {label for label, one in got.items() if one == "best"} == best
        if len(best) == 1:
            assert got[order[1]] == "second"
        for row in table.rows:
            if row.kind:
                assert cell(table, row, f"toy_{figure}_mean").emphasis is None
    assert any("3 seeds" in text for text in table.notes)
    assert not any(one.tied for row in table.rows for one in row.cells)


def test_what_was_chosen_on_test_images_is_never_ranked(outcome: SuiteOutcome) -> None:
    oracle = suite_table(replace(outcome, selections=("oracle",)))
    assert not any(one.emphasis for row in oracle.rows for one in row.cells)
    assert {row.cells[0].mark for row in oracle.rows} == {"†"}
    assert any(text.startswith("† oracle") for text in oracle.notes)
    assert {row.kind for row in oracle.rows} == {""}
    without = suite_table(outcome, show=())
    assert not any("†" in text for text in without.notes)
    assert len(without.rows) == len(outcome.lines)


def test_fewer_seeds_than_asked_are_told_and_not_ranked(outcome: SuiteOutcome) -> None:
    key = ("tf-vaegan", "toy", "val")
    records = outcome.entries[key].records
    left = {seed: record for seed, record in records.items() if seed != 1}
    lacking = changed(
        outcome, key, state="partial", records=left, failures={1: "boom"}, reason="seed 1: boom"
    )
    table = suite_table(lacking)
    (row, *_) = rows(table, "tf-vaegan")
    of = values(lacking.entries[key], "h")
    one = cell(table, row, "toy_h_mean")
    assert (one.text, one.mark) == (f"{statistics.mean(of):.1f} ± {statistics.stdev(of):.1f}", " (2)")
    assert one.note == "seed 1: boom"
    assert not any(cell(table, row, f"toy_{figure}_mean").emphasis for figure in FIGURES)
    assert any(text.startswith("(n): ") and "3 seeds" in text for text in table.notes)
    assert any(text == "partial (val): tf-vaegan on toy: seed 1: boom" for text in table.notes)
    (whole,) = [
        line
        for line in json.loads(render(table, "json"))
        if line["line"] == "tf-vaegan" and line["row"] == "ours"
    ]
    assert (whole["toy_seeds"], whole["toy_state"]) == (2, "partial")


def test_a_figure_that_a_seed_lacks_is_not_averaged(outcome: SuiteOutcome) -> None:
    key = ("tf-vaegan", "toy", "val")
    first, *others = outcome.entries[key].records.values()
    without = type(first)(first.folder)
    without.metrics["h"] = None
    records = {one.info.seed: one for one in (without, *others)}
    table = suite_table(changed(outcome, key, records=records))
    (row, *_) = rows(table, "tf-vaegan")
    one = cell(table, row, "toy_h_mean")
    assert (one.text, one.value, one.emphasis) == (None, None, None)
    assert one.note
    assert cell(table, row, "toy_acc_mean").value is not None


@pytest.mark.parametrize("state", ["failed", "missing", "no data", "no plugin"])
def test_what_is_missing_says_why(outcome: SuiteOutcome, state: Any) -> None:
    key = ("eszsl", "toy", "val")
    gone = changed(outcome, key, state=state, records={}, reason=f"because {state}")
    gone = changed(gone, ("eszsl", "toy", "oracle"), state=state, records={}, reason=f"because {state}")
    table = suite_table(gone)
    (row,) = rows(table, "eszsl")  # a second row would say nothing more
    assert [cell(table, row, f"toy_{figure}_mean").text for figure in FIGURES] == [state, None, None, None]
    assert cell(table, row, "toy_acc_mean").value is None
    (note,) = [text for text in table.notes if text.startswith(state)]
    place = {"no data": "toy", "no plugin": "eszsl"}.get(state, "eszsl on toy")
    reason = "" if state == "no plugin" else f": because {state}"
    assert note.replace(" (val, oracle)", "") == f"{state}: {place}{reason}"
    for fmt in FORMATS:
        assert state in render(table, fmt)


def test_published_figures_stand_below_as_printed(outcome: SuiteOutcome) -> None:
    table = suite_table(compared(outcome, {"tf-vaegan": "odd", "eszsl": "Sentences"}), published=printed())
    (row,) = [one for one in rows(table, "tf-vaegan") if one.kind == "published"]
    shown = [cell(table, row, f"toy_{figure}_mean") for figure in FIGURES]
    assert [(one.text, one.mark) for one in shown] == [
        ("50.0", "§"),
        ("40.0", "§"),
        ("60.0", "§"),
        ("52.0", "‡§"),
    ]
    assert any("§" in text and "(features other than simulated)" in text for text in table.notes)
    assert "48.00" in shown[3].note  # 2 · 40 · 60 / 100
    assert any(text.startswith("‡ Odd on toy: printed H 52.0") for text in table.notes)
    (row,) = [one for one in rows(table, "eszsl") if one.kind == "published"]
    shown = [cell(table, row, f"toy_{figure}_mean") for figure in FIGURES]
    assert [(one.text, one.mark) for one in shown] == [("70.0", "§"), (None, ""), (None, ""), (None, "")]
    assert any("§" in text and "1024-d sentence embeddings" in text for text in table.notes)
    assert "published: Paper Table 1" in table.notes
    agrees = compared(outcome, {"tf-vaegan": "odd", "eszsl": "agrees"})
    other = suite_table(agrees, published=printed())
    (row,) = [one for one in rows(other, "eszsl") if one.kind == "published"]
    assert cell(other, row, "toy_h_mean").mark == "§"
    (sources,) = [text for text in other.notes if text.startswith("published:")]
    assert "Another paper" in sources and "Paper Table 1: Odd on toy" in sources
    assert not [one for one in rows(table, "sc-egg") if one.kind == "published"]


@pytest.mark.parametrize("shift", [0.0, 25.0, -25.0])
def test_differences_have_a_verdict(outcome: SuiteOutcome, shift: float) -> None:
    """The published figure is set at our mean, and far from it on either side."""
    of = values(outcome.entries["tf-vaegan", "toy", "val"], "acc")
    theirs = round(statistics.mean(of) + shift, 1)
    one = compared(outcome, {"tf-vaegan": "odd"})
    table = suite_table(one, show=("difference", "oracle"), published=printed(theirs))
    ours, oracle = [row for row in rows(table, "tf-vaegan") if row.kind == "difference"]
    found = cell(table, ours, "toy_acc_mean")
    assert found.value == pytest.approx(statistics.mean(of) - theirs)
    assert found.mark.strip() == ("∈" if shift == 0 else "∉")
    verdict = {0.0: "inside", 25.0: "above", -25.0: "below"}[shift]
    assert cell(table, ours, "toy_acc_verdict").value == verdict
    half = stats.t.ppf(0.975, 2) * statistics.stdev(of) / math.sqrt(3)
    assert cell(table, ours, "toy_acc_low").value == pytest.approx(statistics.mean(of) - half - theirs)
    assert found.text is not None
    assert found.text[0] == {0.0: found.text[0], 25.0: "−", -25.0: "+"}[shift]
    best = values(outcome.entries["tf-vaegan", "toy", "oracle"], "acc")
    assert cell(table, oracle, "toy_acc_mean").value == pytest.approx(statistics.mean(best) - theirs)
    assert any(text.startswith("∈, ∉:") for text in table.notes)


def test_a_closed_form_has_differences_without_a_verdict(outcome: SuiteOutcome) -> None:
    table = suite_table(compared(outcome, {"eszsl": "odd"}), show=("difference",), published=printed())
    (row,) = [one for one in rows(table, "eszsl") if one.kind == "difference"]
    found = cell(table, row, "toy_acc_mean")
    assert (found.mark, cell(table, row, "toy_acc_verdict").value) == ("", "unknown")
    assert found.value is not None
    assert any("without a verdict" in text and "every seed" in text for text in table.notes)


def test_more_seeds_than_can_tell_mark_ties(outcome: SuiteOutcome) -> None:
    """The suite's three runs stand for nine seeds each, so that a test can be made."""
    entries = {
        key: replace(entry, records={s: entry.records[s % 3] for s in range(9)} if entry.records else {})
        for key, entry in outcome.entries.items()
    }
    table = suite_table(replace(outcome, entries=entries, seeds=tuple(range(9))))
    assert any("exact sign-flip test" in text for text in table.notes)
    tied = [row.cells[0].value for row in table.rows if any(one.tied for one in row.cells)]
    assert tied
    assert not [row for row in table.rows if row.kind and any(one.tied for one in row.cells)]
    assert "≈:" in render(table, "terminal")


def test_simulated_data_and_inputs_are_told(outcome: SuiteOutcome) -> None:
    table = suite_table(outcome)
    assert {column.header[0] for column in table.columns} == {"", "toy (simulated)"}
    assert any("simulated" in text and text.endswith(": toy") for text in table.notes)
    assert any("toy" in text and "features" in text for text in table.notes)


def test_unverified_regions_are_marked_and_ranked_apart(outcome: SuiteOutcome) -> None:
    key = ("eszsl", "toy", "val")
    trusted = {}
    for seed, record in outcome.entries[key].records.items():
        trusted[seed] = copy.copy(record)
        trusted[seed].data = record.data | {"regions": {"verified": False}}
    table = suite_table(changed(outcome, key, records=trusted))
    for line in outcome.lines:
        row = rows(table, line.label)[0]
        assert ("(unverified)" in row.cells[0].mark) == (line.label == "eszsl")
        assert cell(table, row, "toy_verified").value == (line.label != "eszsl")
    figures = [cell(table, rows(table, "eszsl")[0], f"toy_{figure}_mean") for figure in FIGURES]
    assert not any(one.emphasis or one.tied for one in figures)


@pytest.mark.parametrize("fmt", FORMATS)
def test_in_every_format(outcome: SuiteOutcome, fmt: str) -> None:
    one = compared(outcome, {"tf-vaegan": "odd", "eszsl": "Sentences"})
    table = suite_table(one, show=SHOW, published=printed())
    text = render(table, fmt)
    assert "nan" not in text.lower()
    for line in outcome.lines:
        assert line.method in text
    if fmt == "csv":
        found = list(csv.DictReader(io.StringIO(text)))
        assert len(found) == len(table.rows)
        ours = next(row for row in found if row["line"] == "tf-vaegan" and row["row"] == "ours")
        of = values(outcome.entries["tf-vaegan", "toy", "val"], "h")
        assert float(ours["toy_h_mean"]) == pytest.approx(statistics.mean(of))
        assert float(ours["toy_h_std"]) == pytest.approx(statistics.stdev(of))
    if fmt == "json":
        found = json.loads(text)
        assert {one["row"] for one in found} == {"ours", "oracle", "published", "difference"}


def test_what_cannot_be_shown_names_what_can(outcome: SuiteOutcome) -> None:
    with pytest.raises(SettingsError, match="did you mean 'published'"):
        suite_table(outcome, show=("publishd",))


@pytest.mark.parametrize("name", ["ijcai22-table1", "ijcai22-table2"])
def test_the_papers_tables_without_a_run(name: str, tmp_path: Path) -> None:
    """Every line stays; below those that the paper prints stand its figures, to the last digit."""
    found = suite_outcome(find_suite(name), Store(tmp_path / "store"), registry())
    table = suite_table(found)
    assert [row.cells[0].value for row in table.rows if not row.kind] == [one.label for one in found.lines]
    shown = {
        (row.cells[0].value, dataset): [
            cell(table, row, f"{dataset}_{figure}_mean").text for figure in FIGURES
        ]
        for row in table.rows
        if row.kind == "published"
        for dataset in found.datasets
    }
    label = next(one.label for one in reversed(found.lines))  # SC-EGG itself, and the whole method
    assert shown[label, "cub"] == ["75.1", "64.1", "73.6", "68.5"]
    assert shown[label, "sun"] == ["69.2", "45.1", "43.6", "44.3"]
    if name == "ijcai22-table1":
        assert {row.group for row in table.rows} == {"embedding", "generative"}
        assert "no plugin" not in render(table, "terminal")
    else:
        assert shown[found.lines[0].label, "cub"] == ["68.3", "55.2", "66.4", "60.3"]
    assert not any(one.emphasis for row in table.rows for one in row.cells)
