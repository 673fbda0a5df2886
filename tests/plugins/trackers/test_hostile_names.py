"""Names of stages and figures, and messages of errors, that a tracker's format would not take as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hostile import NAMES, obeyed

from zslbench.plugin import RunTracker
from zslbench.plugin.discovery import registry
from zslbench.plugin.targets import load_extra


def test_any_name_is_logged(followed: Any, record: Callable[..., Any]) -> None:
    """No figure is lost, and no two names become one."""
    info = record(method=NAMES["markdown"], dataset=NAMES["colour"]).info
    tracker = load_extra(registry().tracker(followed.name), RunTracker)(str(followed.folder), followed.folder)
    tracker.run_started(info)
    names = [name for name in NAMES.values() if name]
    tracker.epoch_ended(info, "fit", 1, {name: float(place) for place, name in enumerate(names)})
    tracker.run_stopped(info, ValueError("".join(names[:-2])), False)
    tracker.close()
    (found,) = followed.attempts()
    assert sorted(point[-1] for point in found.epochs) == list(range(len(names)))
    if followed.name != "jsonl":  # whose lines have the exact names, escaped
        assert obeyed("".join(point[2] for point in found.epochs)) == []
        assert obeyed((found.stopped or "").replace("\n", "")) == []
