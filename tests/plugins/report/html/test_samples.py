"""The section with statistics of synthetic features: drawn where a run recorded them, left out elsewhere."""

from __future__ import annotations

from typing import Any

import pandas as pd
from page_reader import read

from zslbench_report.html.curves import sample_statistics
from zslbench_report.html.page import SECTIONS, page
from zslbench_report.html.report import Report, outcome_of_runs

STATISTICS = ("mean", "real_mean", "spread", "collapsed", "distance", "purity")


def with_epochs(record: Any, sides: dict[str, tuple[str, ...]]) -> Any:
    """The record with an epochs table of two epochs of a generator on each fold, with statistics of these
    sides."""
    rows: list[dict[str, Any]] = [
        {"stage": f"{fold}/generator", "epoch": epoch, "critic_loss": 0.5}
        | {f"samples_{side}_{name}": 0.1 * epoch for side in sides.get(fold, ()) for name in STATISTICS}
        for fold in ("validation", "final")
        for epoch in (1, 2)
    ]
    record.table = lambda name: pd.DataFrame(rows if name == "epochs" else [])
    return record


def test_drawn_for_the_runs_that_have_them(record: Any) -> None:
    shown = with_epochs(record(method="gan"), {"validation": ("seen", "unseen"), "final": ("seen",)})
    plain = with_epochs(record(method="plain"), {})
    report = Report(
        outcome_of_runs([shown, plain], "t"),
        without=frozenset(one.id for one in SECTIONS) - {"samples", "training"},
    )
    html = page(report)
    assert report.faults == []
    tree = read(html)
    section = tree.one("section", id="samples")
    labels = [one.attributes["aria-label"] for one in section.all("svg", role="img")]
    assert [one.partition(" of gan")[0] for one in labels] == [
        "nearest to their class (share)",
        "distance of class means",
        "spread (real: 1)",
        "at one point (share)",
        "mean (thin: real)",
    ]
    assert "plain" not in section.text
    # They are no losses: the training curves are as without them.
    assert "samples" not in tree.one("section", id="training").text


def test_left_out_where_no_run_has_them(record: Any) -> None:
    assert sample_statistics(Report(outcome_of_runs([with_epochs(record(), {})], "t"))) is None
