"""What stages cost and what was reused, added up over records."""

from __future__ import annotations

from typing import Any

from zslbench.report.one_run import stages_line


def event(stage: str, reused: bool, seconds: Any) -> dict[str, Any]:
    return {"stage": stage, "key": "k", "reused": reused, "seconds": seconds}


def test_seconds_are_added_up_by_what_happened(record: Any) -> None:
    first = record(environment={"stages": [event("one", False, 100.25), event("two", False, 20)]})
    second = record(seed=1, environment={"stages": [event("one", True, 100.25), event("two", False, 31.5)]})
    # 100.25 + 20 + 31.5 = 151.75 were trained, 100.25 were not needed again
    assert stages_line([first, second]) == "stages: 3 trained in 152 s, 1 reused (saved 100 s)"
    assert stages_line([first]) == "stages: 2 trained in 120 s, 0 reused"


def test_records_that_tell_of_no_stage(record: Any) -> None:
    old, empty = record(), record(seed=1, environment={"stages": []})
    assert stages_line([old, empty]) is None
    assert stages_line([]) is None
    some = record(seed=2, environment={"stages": [event("one", True, None), {"stage": "x"}]})
    assert stages_line([old, some]) == "stages: 0 trained in 0 s, 1 reused (saved 0 s)"
