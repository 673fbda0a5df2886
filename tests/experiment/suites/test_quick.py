"""The suite that tests and examples use, really run."""

from __future__ import annotations

from typing import Any

from zslbench.experiment import find_suite, suite_outcome
from zslbench.plugin.discovery import registry


def test_every_cell_is_there(quick_store: Any) -> None:
    _, outcome = quick_store
    assert [one.label for one in outcome.lines] == [
        "eszsl",
        "tf-vaegan",
        "sc-egg [paper]",
        "sc-egg [authors]",
    ]
    assert (outcome.datasets, outcome.selections, outcome.seeds) == (("toy",), ("val", "oracle"), (0, 1, 2))
    assert {entry.state for entry in outcome.entries.values()} == {"done"}
    for (label, dataset, selection), entry in outcome.entries.items():
        (line,) = [one for one in outcome.lines if one.label == label]
        for seed, record in entry.records.items():
            info = record.info
            assert (info.method, info.dataset, info.selection, info.seed) == (
                line.method,
                dataset,
                selection,
                seed,
            )
            assert line.reading in (None, info.reading)
            assert 0.2 < record.metrics["acc"] < 1  # better than chance
    assert len({record.info.id for record in outcome.records}) == 24
    # What reports draw from: the networks of the runs whose figures are of one model.
    assert all(one.environment["weights"] == "all" for one in outcome.records)


def test_seeds_differ_and_so_do_selections(quick_store: Any) -> None:
    _, outcome = quick_store
    for label in ("tf-vaegan", "sc-egg [paper]", "sc-egg [authors]"):
        found = outcome.entries[label, "toy", "val"].records
        assert len({record.metrics["h"] for record in found.values()}) > 1
        oracle = outcome.entries[label, "toy", "oracle"].records
        assert all(oracle[seed].metrics["h"] >= found[seed].metrics["h"] for seed in found)


def test_the_store_alone_tells_the_same(quick_store: Any) -> None:
    store, outcome = quick_store
    again = suite_outcome(find_suite("quick"), store, registry())
    assert again.lines == outcome.lines
    for key, entry in outcome.entries.items():
        assert {s: r.info.id for s, r in entry.records.items()} == {
            s: r.info.id for s, r in again.entries[key].records.items()
        }
