"""The place of a run in a suite's table by what it computed, as for an archive of several revisions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import zslbench
from zslbench.experiment import Suite, recorded_outcome
from zslbench.plugin.lookup import Registry
from zslbench.store import RunRecord

ROWS = '[[methods]]\nmethod = "lab"\n[[methods]]\nmethod = "lab"\nvariants = "weak"\n'
HEAD = "seeds = 2"


def other(record: RunRecord, days: float = 0, data: Mapping[str, Any] = {}, **identity: Any) -> Any:
    """The same run, finished later, with another identity or a record of other data."""
    found = copy.copy(record)
    changed = {**record.info.identity, **identity}
    found.info = replace(record.info, id=f"{record.info.id}-{days}-{identity}", identity=changed)
    found.finished = record.finished + timedelta(days=days)
    found.data = {**record.data, **data}
    return found


@pytest.fixture
def mine(suite: Callable[..., Suite]) -> Suite:
    return suite(ROWS, HEAD)


@pytest.fixture
def runs(known: Registry, mine: Suite) -> list[RunRecord]:
    return list(zslbench.bench(mine, threads=1).records)


def test_runs_of_other_versions_have_the_same_places_and_the_newest_counts(
    known: Registry, mine: Suite, runs: list[RunRecord]
) -> None:
    expected = {
        place: dict(one.records) for place, one in recorded_outcome(mine, runs, known).entries.items()
    }
    assert sum(map(len, expected.values())) == len(runs) == 4
    for (label, _, selection), of in expected.items():
        for seed, record in of.items():
            assert ("weak" in label, selection) == (record.info.variant == "weak", record.info.selection)
            assert seed == record.info.seed
    newer = [other(one, 1, versions={"zslbench": "9"}) for one in runs]
    older = [other(one, -1, versions={"zslbench": "0"}) for one in runs]
    found = recorded_outcome(mine, [*newer, *runs, *older], known)
    assert {one.info.id for one in found.records} == {one.info.id for one in newer}
    assert {one.state for one in found.entries.values()} == {"done"}


def test_what_was_computed_decides(known: Registry, mine: Suite, runs: list[RunRecord]) -> None:
    changes: list[dict[str, Any]] = [
        {"settings": {"classifier": {"ridge": 2.0}}},
        {"search": {"classifier.ridge": [1.0, 2.0]}},
        {"execution": {"precision": "bf16"}},
        {"reading": "code"},
        {"data": {"semantics": "sentence"}},
        {"data": {"candidates": "all"}},
    ]
    for change in changes:
        found = recorded_outcome(mine, [other(one, **change) for one in runs], known)
        assert found.records == (), change
        assert {one.state for one in found.entries.values()} == {"missing"}


def test_features_that_the_suite_names(
    known: Registry, mine: Suite, runs: list[RunRecord], suite: Callable[..., Suite]
) -> None:
    named = suite(ROWS, f'{HEAD}\nfeatures = "these"')
    assert recorded_outcome(named, runs, known).records == ()
    these = [other(one, data={"features": "these"}) for one in runs]
    assert len(recorded_outcome(named, these, known).records) == 4


@pytest.mark.parametrize("what", ["arrays", "validation"])
def test_seeds_of_different_data_share_no_entry(
    known: Registry, mine: Suite, runs: list[RunRecord], what: str
) -> None:
    """One seed was computed again after the data set had changed."""
    one = next(record for record in runs if record.info.seed == 1)
    changed = other(one, 1)
    data = one.info.identity["data"]
    new = {"arrays": {**data["arrays"], "features": "other"}, "validation": "another"}[what]
    changed.info = replace(changed.info, identity={**one.info.identity, "data": {**data, what: new}})
    found = recorded_outcome(mine, [*runs, changed], known)
    place = next(place for place, entry in found.entries.items() if changed in entry.records.values())
    assert (found.entries[place].state, list(found.entries[place].records)) == ("partial", [1])
    assert len(found.records) == 3
