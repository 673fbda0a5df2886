"""A record whose seal is right and whose content is not is refused, by the name of the field."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from zslbench.errors import DataError
from zslbench.store.files import checked_json, parse_checked_json
from zslbench.store.record import RunContent, RunRecord
from zslbench.store.store import Store

Make = Callable[..., RunContent]
HUGE = 10**400
DEEP: list[Any] = []
for _ in range(100):
    DEEP = [DEEP]


def changed(record: RunRecord, path: str, value: Any) -> None:
    """Seal the record again with another value at ``a.b.c``; ``...``: with nothing there."""
    file = record.folder / "run.json"
    content = parse_checked_json(file.read_bytes())
    *parents, last = path.split(".")
    place = content
    for name in parents:
        place = place[name]
    place[last] = value
    if value is ...:
        del place[last]
    file.write_bytes(checked_json(content, allow_nan=True))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metrics", None), ("metrics", [0.5]), ("metrics.H", True), ("metrics.H", [0.5]),
        ("metrics.H", float("nan")), pytest.param("metrics.H", HUGE, id="huge"), ("run.seed", "3"),
        ("run.seed", True), ("run.method", None), ("run.selection", "best"), ("run.identity", None),
        ("run.identity.settings", []), ("run.identity.settings.classifier", 1.5),
        ("run.identity.versions", ...), ("run.unknown", 1), ("run.reading", 1), ("environment", []),
        ("environment.seconds", "1"), ("environment.stages", 1), ("environment.reading", "paper"),
        ("data", None), ("data.arrays", None), ("data.arrays", ["a"]), ("data.features", ...),
        ("data.extra", None), ("notes", "a note"), ("notes", [1]), ("files", []),
        ("files", {"../../secret": "0"}), ("finished", None), ("finished", "2026-01-01T00:00:00"),
        ("finished", "yesterday"), ("format", 2), ("format", "1"),
        pytest.param("environment.deep", DEEP, id="deep"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_one_warning(
    store: Store, make_run: Make, caplog: pytest.LogCaptureFixture, path: str, value: Any
) -> None:
    store.write(make_run("good"))
    record = store.write(make_run("odd"))
    changed(record, path, value)
    assert [one.info.id for one in (*store.records(), *store.records())] == ["good", "good"]
    (warning,) = caplog.messages
    named = "environment" if value is DEEP else path.rpartition(".")[2]
    assert str(record.folder) in warning and named in warning and "\n" not in warning
    with pytest.raises(DataError, match="damaged"):
        store.resolve("odd")
    assert store.write(make_run("odd")).info.id == "odd"
    assert len(store.records()) == 2


def test_what_could_not_be_read_is_not_written(store: Store, make_run: Make) -> None:
    huge, deep = {"environment": {"seed": HUGE}}, {"environment": {"deep": json.loads("[" * 60 + "]" * 60)}}
    for wrong in ({"notes": [1]}, {"metrics": {"H": [0.5]}}, {"data": {}}, huge, deep):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            store.write(make_run(**wrong))
    assert store.records() == [] and list((store.root / "tmp").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
def test_files_that_are_pipes_are_not_waited_for(store: Store, make_run: Make) -> None:
    record = store.write(make_run())
    (record.folder / "classes.parquet").unlink()
    os.mkfifo(record.folder / "classes.parquet")
    with pytest.raises(DataError, match="not a file"):
        record.table("classes")
    assert len(record.verify()) == 1
    (record.folder / "run.json").unlink()
    os.mkfifo(record.folder / "run.json")
    assert store.records() == []
