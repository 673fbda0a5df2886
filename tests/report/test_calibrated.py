"""Runs whose method favours unseen classes by an offset of its own are marked wherever they are shown."""

from __future__ import annotations

from typing import Any

from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry
from zslbench.report.comparison import comparison_frame, comparison_table
from zslbench.report.one_run import run_details
from zslbench.report.results import method_label, ranking_key, runs_frame, seeds_table, trust_notes
from zslbench.report.suite import suite_table
from zslbench.report.tables.render import FORMATS, render
from zslbench_report.html.report import outcome_of_runs


def calibrated(embedding: str = "dazle", **settings: Any) -> str | None:
    components = {"embedding": embedding, "classifier": "attribute-scores"}
    return resolve(registry(), "toy", components=components, settings=settings).calibrated


def test_only_an_offset_calibrates() -> None:
    assert calibrated() == "2"  # the embedding's
    assert calibrated(**{"embedding.offset": 1.5}) == "1.5"
    assert calibrated(**{"embedding.offset": 0.0}) is None
    assert calibrated(**{"classifier.offset": 0.0}) is None
    assert calibrated(**{"classifier.offset": 0.7}) == "0.7"
    assert calibrated("aren-frozen") is None
    assert resolve(registry(), "toy", method="dazle").calibrated == "2"
    assert resolve(registry(), "toy", method="dazle", variant="no-calibration").calibrated is None
    assert resolve(registry(), "toy", method="eszsl").calibrated is None  # it has no such setting


def test_every_table_says_it(record: Any) -> None:
    run, plain = record(method="m", h=0.4, identity={"calibrated": "2"}), record(method="n", h=0.3)
    assert method_label(run) == "m (calibrated)"
    assert list(runs_frame([run, plain])["calibrated"]) == ["2", ""]
    assert list(seeds_table([run]).frame()["seed"]) == ["0 (calibrated)"]
    [note] = trust_notes([run, plain])
    assert note.startswith("calibrated (2)")
    assert trust_notes([plain]) == []
    assert [row["value"] for row in run_details(run) if row["name"] == "mark"] == [note]
    assert list(comparison_frame([run, plain])["calibrated"]) == ["2", ""]
    for table in (comparison_table([run, plain]), suite_table(outcome_of_runs([run, plain], "t"))):
        assert note in table.notes
        for fmt in FORMATS:
            assert "(calibrated)" in render(table, fmt)


def test_fine_tuned_runs_are_ranked_apart(record: Any) -> None:
    run, frozen = record(method="m", identity={"fine-tuned": True}), record(method="n")
    assert method_label(run) == "m (fine-tuned)"
    assert [note for note in trust_notes([run, frozen]) if "fine-tuned" in note]
    assert None is not ranking_key(run) != ranking_key(frozen)


def test_it_is_ranked_with_the_others(record: Any) -> None:
    """It knows nothing of test images: unlike a transductive run it is only marked."""
    run, plain = record(method="m", h=0.4, identity={"calibrated": "2"}), record(method="n", h=0.3)
    assert ranking_key(run) == ranking_key(plain)
