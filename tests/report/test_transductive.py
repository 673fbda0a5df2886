"""Runs whose reading told components of test images: marked wherever figures are shown, ranked nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from zslbench.report.comparison import comparison_frame, comparison_table
from zslbench.report.differences import differences, warnings
from zslbench.report.one_run import final_metrics, run_details, run_parameters
from zslbench.report.results import method_label, ranking_key, runs_frame, seeds_table, trust_notes
from zslbench.report.suite import suite_table
from zslbench.report.tables.render import FORMATS, render
from zslbench_report.html.report import outcome_of_runs

TOLD = ["test features", "test class prior"]


@pytest.fixture
def leaky(record: Any) -> Any:
    """Makes a run of method ``m`` in the reading ``told``, with the best of all figures."""

    def made(**more: Any) -> Any:
        reading = {"name": "told", "summary": "knows", "default": False}
        figures = {"acc": 0.99, "u": 0.99, "s": 0.99, "h": 0.99}
        environment = {"reading": reading}
        return record(
            reading="told",
            identity={"transductive": TOLD, "reading": "told"},
            environment=environment,
            **figures,
            **more,
        )

    return made


def test_every_label_and_frame_says_it(leaky: Any, record: Any) -> None:
    run, honest = leaky(), record(method="n")
    assert method_label(run) == "m [told] (transductive)"
    assert list(runs_frame([run, honest])["transductive"]) == ["test features, test class prior", ""]
    assert list(seeds_table([run]).frame()["seed"]) == ["0 (transductive)"]
    assert [note for note in trust_notes([run, honest]) if "test class prior, test features" in note]
    assert trust_notes([honest]) == []
    details = {row["name"]: row["value"] for row in run_details(run) if row["about"] == "reading"}
    assert details["transductive"] == "fitted with test features, test class prior"
    assert run_parameters(run.info)["transductive"] == "test features, test class prior"
    assert run_parameters(honest.info)["transductive"] is None
    assert set(final_metrics(run)) == {f"transductive/{name[6:]}" for name in final_metrics(honest)}
    assert "oracle/h" in final_metrics(leaky(selection="oracle"))


def test_no_table_ranks_it(leaky: Any, record: Any) -> None:
    honest = [record(method=name, h=h) for name, h in (("n", 0.3), ("o", 0.2))]
    run = leaky()
    assert ranking_key(run) is None
    assert ranking_key(record(selection="oracle")) is None
    assert ranking_key(honest[0]) == ranking_key(honest[1])
    frame = comparison_frame([run, *honest]).set_index("method")
    assert frame["H_rank"].fillna("").to_dict() == {"m [told] (transductive)": "", "n": "best", "o": "second"}
    assert not frame.loc["m [told] (transductive)", "H_tied"]
    table = comparison_table([run, *honest])
    assert any("test features" in note for note in table.notes)
    # Nor are several of them ranked among themselves.
    alone = comparison_frame([run, leaky(method="p")])
    assert alone["H_rank"].isna().all()


def test_a_suite_shows_it_unranked(leaky: Any, record: Any) -> None:
    runs = [leaky(), record(method="n", h=0.3), record(method="o", h=0.2)]
    table = suite_table(outcome_of_runs(runs, "t"))
    place = next(i for i, column in enumerate(table.columns) if column.key.endswith("_h_mean"))
    told = next(i for i, column in enumerate(table.columns) if column.key.endswith("_transductive"))
    shown = {row.cells[0].value: row.cells for row in table.rows if not row.kind}
    assert {name: cells[place].emphasis for name, cells in shown.items()} == {
        "m [told]": None,
        "n": "best",
        "o": "second",
    }
    assert shown["m [told]"][0].mark == " (transductive)"
    assert shown["m [told]"][told].text == "test features, test class prior"
    assert any("test features" in note for note in table.notes)
    for fmt in FORMATS:
        assert "transductive" in render(table, fmt)


def test_comparing_with_another_run_warns(leaky: Any, record: Any) -> None:
    texts = warnings(differences(leaky(), record()), only_seed=False)
    assert any("test features, test class prior and nothing" in text for text in texts)
    assert not warnings(differences(leaky(), leaky(seed=1)), only_seed=True)
