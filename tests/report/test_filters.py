"""Conditions choose the runs that a plain reading of them names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from zslbench.errors import SettingsError, UnknownName
from zslbench.report.filters import Condition, Filters
from zslbench.store import RunRecord, Store
from zslbench.store.workspace import Unfinished
from zslbench.testing.fakes import fake_record


@pytest.fixture
def records(tmp_path: Path) -> list[RunRecord]:
    store = Store(tmp_path / "store")
    for seed in range(4):
        fake_record(store, "sc-egg", "cub", seed, acc=0.4, h=0.1 * seed, variant="full")
    fake_record(store, "eszsl", "folder:ucf101/split_1", acc=0.5, h=None)
    return store.records()


def matching(records: Sequence[RunRecord], *texts: str) -> list[tuple[str, int]]:
    found = Filters(map(Condition.parse, texts)).finished(records)
    return sorted((one.info.method, one.info.seed) for one in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("H=5.4", True),
        ("H=5.38", True),
        ("H=5.39", False),
        ("H!=5.4", False),
        ("H>=5.4", True),
        ("H>5.3", True),
        ("H>5.4", False),
        ("H<5.4", False),
        ("H<=5.38", True),
        ("H=5", False),
        ("H~5.4", False),
    ],
)
def test_metrics_are_compared_as_tables_show_them(tmp_path: Path, text: str, expected: bool) -> None:
    fake_record(store := Store(tmp_path / "store"), h=0.053846)  # 5.3846 %
    assert bool(Filters([Condition.parse(text)]).finished(store.records())) == expected


EGG = [("sc-egg", seed) for seed in range(4)]
ESZSL = [("eszsl", 0)]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ((), ESZSL + EGG),
        (("method=eszsl",), ESZSL),
        (("method == sc-egg", "seed<2"), EGG[:2]),
        (("method!=sc-egg",), ESZSL),
        (("seed=1", "seed=3"), [EGG[1], EGG[3]]),
        (("seed>=1", "seed!=2"), [EGG[1], EGG[3]]),
        (("H>15",), EGG[2:]),
        (("h <= 10", "acc=40"), EGG[:2]),
        (("H>=0",), EGG),  # no run without H
        (("H!=0",), EGG[1:]),
        (("variant=none",), ESZSL),
        (("variant=full", "variant=none"), ESZSL + EGG),
        (("dataset=CUB",), EGG),
        (("dataset~ucf",), ESZSL),
        (("dataset=folder:UCF101/split_1",), ESZSL),
        (("select=val",), ESZSL + EGG),
        (("selection!=val",), []),
        (("state=finished",), ESZSL + EGG),
        (("state=running",), []),
        (("date>2000-01-01", "date<2000-01-02"), []),
        (("date>2000-01-01", "date>=2000-01-01T12:30:00+02:00"), ESZSL + EGG),
    ],
)
def test_runs_that_a_condition_names(
    records: list[RunRecord], texts: Sequence[str], expected: list[tuple[str, int]]
) -> None:
    assert matching(records, *texts) == expected


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("date=2026-11-30", [30]),
        ("date!=2026-11-30", [29, 31]),
        ("date<2026-11-30", [29]),
        ("date<=2026-11-30", [29, 30]),
        ("date>2026-11-30", [31]),
        ("date>=2026-11-30", [30, 31]),
        ("date>2026-11-30T23:58", [30, 31]),
        ("date>2026-11-30T23:59", [31]),
    ],
)
def test_a_date_is_the_whole_day(text: str, days: list[int]) -> None:
    moments = {
        29: datetime(2026, 11, 29, 23, 59, 59, tzinfo=UTC),
        30: datetime(2026, 11, 30, 23, 59, 30, tzinfo=UTC),
        31: datetime(2026, 12, 1, tzinfo=UTC),
    }
    assert [day for day, moment in moments.items() if Condition.parse(text).holds(moment)] == days


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("generator.lr=1e-4", 0.0001, True),
        ("generator.lr<1e-3", 0.0001, True),
        ("generator.lr<1e-3", None, False),
        ("generator.lr<2", True, False),
        ("generator.deep=1", True, False),
        ("generator.deep=true", True, True),
        ("classifier.coding=pm1", "pm1", True),
        ("classifier.coding=01", "01", True),
        ("classifier.coding~M", "pm1", True),
        ("generator.width=none", None, True),
        ("generator.sizes=[1, 2]", [1, 2], True),
        ("generator.sizes!=[1, 2]", [1, 2], False),
    ],
)
def test_settings_are_compared_as_they_are_typed(text: str, value: Any, expected: bool) -> None:
    assert Condition.parse(text).holds(value) == expected


def test_what_validation_chose_is_the_setting(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    fake_record(store, "eszsl", environment={"chosen": {"classifier.lr": 10.0}})
    assert matching(store.records(), "classifier.lr=10") == ESZSL
    assert matching(store.records(), "classifier.lr=0.1") == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("H", SettingsError),
        ("=3", SettingsError),
        ("", SettingsError),
        ("seed<x", SettingsError),
        ("seed=", SettingsError),
        ("seed<nan", SettingsError),
        ("H>high", SettingsError),
        ("method<sc-egg", SettingsError),
        ("method=", SettingsError),
        ("selection=vall", SettingsError),
        ("state=done", SettingsError),
        ("date=yesterday", SettingsError),
        ("date>9999-12-31", SettingsError),
        ("date~2026", SettingsError),
        ("generator.lr>big", SettingsError),
        ("metod=x", UnknownName),
        ("generatr.lr=1", UnknownName),
    ],
)
def test_what_is_no_condition_is_refused(text: str, fault: type[Exception]) -> None:
    with pytest.raises(fault):
        Condition.parse(text)


def test_a_setting_that_no_run_has_is_an_error(records: list[RunRecord]) -> None:
    with pytest.raises(UnknownName):
        matching(records, "generator.nothing=1")
    assert matching([], "generator.nothing=1") == []


def test_unfinished_runs_match_by_what_is_known_of_them(tmp_path: Path) -> None:
    info = {"method": "sc-egg", "dataset": "cub", "seed": 1, "variant": None}
    moment = datetime(2026, 11, 30, tzinfo=UTC)
    runs = [Unfinished(name, moment, info, name == "a", tmp_path) for name in "ab"]

    def found(*texts: str) -> list[str]:
        return [one.id for one in Filters(map(Condition.parse, texts)).unfinished(runs)]

    assert found("method=sc-egg", "date=2026-11-30", "seed=1", "variant=none") == ["a", "b"]
    assert found("state=interrupted") == ["b"] and found("state=running") == ["a"]
    assert found("H!=50") == found("generator.lr=1") == found("reading=none") == []
