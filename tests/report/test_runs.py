"""One run told in full."""

from __future__ import annotations

import json
from typing import Any

from zslbench.report.one_run import run_details


def test_everything_about_a_run_is_there(record: Any) -> None:
    one = record(seed=4, variant="small", acc=0.12345, h=None, metrics={"epochs": 12, "offset": 0.5})
    rows = run_details(one)
    assert all(row["value"] is None or isinstance(row["value"], str) for row in rows)
    found = {(row["about"], row["name"]): row["value"] for row in rows}
    assert found["run", "id"] == one.info.id
    assert found["run", "variant"] == "small"
    assert found["run", "seed"] == "4"
    assert found["figures", "acc"] == "12.35 %"
    assert found["figures", "h"] is None
    assert found["figures", "epochs"] == "12"
    assert found["figures", "offset"] == "0.5"  # an offset is no share
    assert found["settings", "classifier.lr"] == "0.1"
    assert found["selection", "mode"] == "val"
    assert found["data", "sha256 of features"] == f"{'a' * 64} res101.mat"
    assert found["environment", "seconds"] == "1.5"
    assert found["notes", "1"] == "a note"
    assert list(dict.fromkeys(row["about"] for row in rows))[:2] == ["run", "figures"]


def test_how_the_paper_is_read_and_what_was_reused(record: Any) -> None:
    how = {"name": "code", "summary": "as their code does", "default": True}
    stages = [
        {"stage": "final/embedding", "key": "ab12", "reused": False, "seconds": 12.34},
        {"stage": "final/embedding", "key": "cd34", "reused": True, "seconds": 3.0},
    ]
    one = record(reading="code", environment={"reading": how, "stages": stages})
    rows = [(row["about"], row["name"], row["value"]) for row in run_details(one, [("row 3", "as printed")])]
    assert [row for row in rows if row[0] in ("reading", "stages")] == [
        ("reading", "name", "code (default)"),
        ("reading", "summary", "as their code does"),
        ("reading", "row 3", "as printed"),
        ("stages", "final/embedding", "trained in 12.3 s, key ab12"),
        ("stages", "final/embedding", "reused, took 3.0 s when it was trained, key cd34"),
    ]
    assert not [row for row in rows if row[0] == "environment" and row[1] in ("reading", "stages")]


def test_a_run_without_readings_and_stages_is_shown_as_before(record: Any) -> None:
    assert not {row["about"] for row in run_details(record())} & {"reading", "stages"}
    odd = record(seed=1, environment={"stages": [{"stage": "s"}], "reading": None})
    assert not {row["about"] for row in run_details(odd)} & {"reading", "stages"}


def test_nothing_of_the_identity_is_left_out(record: Any) -> None:
    """Everything that the numbers depend on can be read from what is shown, versions and all."""
    one = record()
    shown = json.dumps(run_details(one))
    identity = one.info.identity
    for part in ("components", "settings", "selection"):
        for value in identity[part].values():
            for name in value if isinstance(value, dict) else [value]:
                assert str(name) in shown


def test_chosen_hyper_parameters_stand_in_place_of_the_given(record: Any) -> None:
    one = record()
    one.environment["chosen"] = {"classifier.lr": 0.7}
    found = {(row["about"], row["name"]): row["value"] for row in run_details(one)}
    assert found["settings", "classifier.lr"] == "0.7 (chosen)"
