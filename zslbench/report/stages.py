"""What the stages of runs cost, and which of them were used again: read from the runs' records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zslbench.store.record import RunRecord


def stage_rows(record: RunRecord) -> list[tuple[str, str]]:
    """Each stage that was kept or found: its name and ``"trained in 12 s, key 0123"``, in order."""
    return [(str(one["stage"]), _told(one)) for one in _events(record)]


def stages_line(records: Sequence[RunRecord]) -> str | None:
    """``"stages: 10 trained in 312 s, 14 reused (saved 420 s)"``; None: the records tell of no stage."""
    events = [one for record in records for one in _events(record)]
    if not events:
        return None
    trained = [_seconds(one) for one in events if not one["reused"]]
    reused = [_seconds(one) for one in events if one["reused"]]
    text = f"stages: {len(trained)} trained in {sum(trained):.0f} s, {len(reused)} reused"
    return f"{text} (saved {sum(reused):.0f} s)" if reused else text


def _events(record: RunRecord) -> list[Mapping[str, Any]]:
    """Of runs that an earlier version computed there is nothing to tell."""
    events = record.environment.get("stages") or ()
    return [one for one in events if isinstance(one, Mapping) and {"stage", "reused"} <= one.keys()]


def _told(event: Mapping[str, Any]) -> str:
    seconds = f"{_seconds(event):.1f} s"
    text = f"reused, took {seconds} when it was trained" if event["reused"] else f"trained in {seconds}"
    return f"{text}, key {event['key']}" if event.get("key") else text


def _seconds(event: Mapping[str, Any]) -> float:
    value = event.get("seconds")
    return float(value) if isinstance(value, int | float) else 0.0
