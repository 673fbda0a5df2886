"""Records whose seal is right and whose fields hold anything: those that are accepted stop no table."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zslbench.experiment.job import choose_mode
from zslbench.experiment.suites.costs import Costs
from zslbench.report.comparison import comparison_frame, comparison_table
from zslbench.report.one_run import run_details
from zslbench.report.results import runs_frame, seeds_table
from zslbench.report.tables.render import emit
from zslbench.store.files import checked_json, parse_checked_json
from zslbench.store.store import Store
from zslbench.testing.fakes import fake_record

VALUES = (None, True, 7, -1.5, 1e308, "x", "", [], ["x"], [[]], {}, {"a": 1}, {"a": None}, ...)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value within nested lists and tables."""
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*at, key)
        if isinstance(one, dict | list):
            yield from places(one, (*at, key))


@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_no_field_stops_the_tables_of_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    store, chance = Store(tmp_path / "store"), random.Random(3)
    fake_record(store, seed=0)
    file = fake_record(store, seed=1, reading="paper").folder / "run.json"
    content = parse_checked_json(file.read_bytes())
    content["environment"] |= {"reading": {"default": True, "summary": "x"}, "stages": [{"stage": "a"}]}
    everywhere = list(places(content))
    accepted = 0
    for _ in range(count):
        *parents, last = chance.choice(everywhere)
        changed = copy.deepcopy(content)
        place: Any = changed
        for key in parents:
            place = place[key]
        place[last] = value = chance.choice(VALUES)
        if value is ...:
            del place[last]
        file.write_bytes(checked_json(changed))
        records = store.records()
        assert len(records) in (1, 2)
        accepted += len(records) == 2
        runs_frame(records)
        emit(seeds_table(records), "csv")
        comparison_frame(records)
        for fmt in ("terminal", "html", "latex"):
            emit(comparison_table(records, ("published", "difference", "interval")), fmt)
        Costs(records, choose_mode("cpu", 1))
        for one in records:
            emit(run_details(one), "json")
        capsys.readouterr()
    assert count / 5 < accepted < count
