"""Several processes at one store, and processes that are killed."""

from __future__ import annotations

import logging
import os
import random
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from zslbench.store import store as module
from zslbench.store.record import RunContent, RunRecord
from zslbench.store.store import Store

pytestmark = pytest.mark.slow

LISTINGS = int(os.environ.get("ZSLBENCH_TEST_LISTINGS", "300"))

Start = Callable[..., Any]
Make = Callable[..., RunContent]


def folders(store: Store) -> list[Path]:
    """What is being written, or was left by killed writers (their empty lock files may stay for a day)."""
    return [path for path in (store.root / "tmp").iterdir() if path.is_dir()]


def whole(store: Store, skip: Collection[str] = ()) -> dict[str, object]:
    """Metric ``writer`` of every run, each (but those to skip) checked to be whole and of one writer."""
    found: dict[str, object] = {}
    for record in store.records():
        found[record.info.id] = record.metrics["writer"]
        if record.info.id in skip:
            continue
        assert record.verify() == []
        assert set(record.table("epochs")["writer"]) == {record.metrics["writer"]}
    return found


def generation(record: RunRecord) -> int:
    return 1 if record.folder.parent.name == "runs" else int(record.folder.name)


def test_two_processes_writing_many_runs_lose_nothing(store: Store, helper: Start) -> None:
    processes = [helper("many", store.root, name, 200) for name in ("a", "b")]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert whole(store) == {f"{name}{i:04d}": i for name in "ab" for i in range(200)}
    assert folders(store) == []


def test_two_processes_writing_the_same_run_end_with_one_whole_result(store: Store, helper: Start) -> None:
    processes = [helper("race", store.root, number, 12) for number in (1, 2)]
    winners = []
    for turn in range(12):
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [process.stdout.readline().strip() for process in processes]
        assert answers[0] == answers[1] == str(whole(store)[f"race{turn}-0"])
        winners.append(answers[0])
    assert set(winners) <= {"1", "2"}
    assert len(whole(store)) == 24
    assert not (store.root / "damaged").exists()


@pytest.mark.parametrize("grace", [3600, 2])
def test_listings_beside_writers_miss_nothing(
    store: Store, helper: Start, caplog: pytest.LogCaptureFixture, grace: int
) -> None:
    """Two processes write new runs, two replace the same three, one writes runs and removes them."""
    processes = [helper("busy", store.root, name, grace) for name in ("a", "b", "same", "same", "gone")]
    seen: dict[str, int] = {}
    listings = 0
    while listings < LISTINGS or not {"a0030", "b0030"} <= seen.keys():
        found = {one.info.id: generation(one) for one in store.records() if "gone" not in one.info.id}
        assert all(found[run] >= number for run, number in seen.items())  # no run is missed, or older
        seen = found
        listings += {"a0000", "b0000", "same0"} <= seen.keys()
        store.unfinished()
    for process in processes:
        process.stdin.write("end\n")
        process.stdin.flush()
    assert [process.wait(60) for process in processes] == [0] * len(processes)
    written = whole(store).keys()
    assert seen.keys() <= written
    assert all("gone" in record.getMessage() for record in caplog.records)
    assert len(list((store.root / "reruns").glob("same*/*"))) > 3
    assert folders(store) == []


def test_runs_removed_beside_their_writers_are_whole_or_gone(
    store: Store, helper: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """Two processes compute the same three runs; two others remove them all the while."""
    writers = [helper("compute", store.root, 60) for _ in range(2)]
    removers = [helper("remove", store.root) for _ in range(2)]
    while any(process.poll() is None for process in writers):
        whole(store, skip=("run0", "run1", "run2"))  # may be removed while they are read
    assert [process.wait(60) for process in writers] == [0, 0]
    for process in removers:
        process.stdin.write("end\n")
        process.stdin.flush()
    assert sum(int(process.stdout.readline()) for process in removers) > 3
    assert [process.wait(60) for process in removers] == [0, 0]
    whole(store)
    assert folders(store) == [] and not (store.root / "damaged").exists()
    for run in ("run0", "run1", "run2"):
        store.remove(run)
    assert list(store.records()) == []


@pytest.mark.parametrize("replace", [0, 1])
def test_a_writer_killed_at_random_moments_leaves_no_partial_run(
    store: Store,
    helper: Start,
    make_run: Make,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    replace: int,
) -> None:
    moments = random.Random(7 + replace)
    process = helper("forked", store.root, replace)
    seen: set[str] = set()
    slowness = 1.0  # of this machine: how much longer it takes to write the first run
    for _ in range(20):
        slowness *= 1 if seen else 1.3
        process.stdin.write(f"delay {slowness * moments.uniform(0.01, 0.15)}\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() in ("killed", "done")
        now = whole(store, skip=() if replace else seen)
        assert seen <= now.keys()  # What was there once is never lost, replaced or not.
        seen |= now.keys()
    assert seen
    monkeypatch.setattr(module, "SWEEP", 0.0)
    assert store.write(make_run("after")).verify() == []
    assert folders(store) == []
    assert "skipped" not in caplog.text


@pytest.mark.parametrize("replace", [0, 1])
def test_a_writer_killed_at_every_line_leaves_the_old_or_the_new_run(
    tmp_path: Path, helper: Start, make_run: Make, replace: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exhaustive: the child ends at its first line within the store, then at its second, and so on."""
    store, before = Store(tmp_path / "here"), tmp_path / "before"
    store.write(make_run("run" if replace else "another", metrics={"writer": "old"}, tables={}))
    shutil.copytree(store.root, before)
    process = helper("forked", store.root, replace)
    answer, line, values = "killed", 0, []
    while answer == "killed":
        line += 1
        shutil.rmtree(store.root)
        shutil.copytree(before, store.root)
        process.stdin.write(f"line {line}\n")
        process.stdin.flush()
        answer = process.stdout.readline().strip()
        record = store.find("run")
        assert record is None or record.verify() == []
        values.append("none" if record is None else "old" if record.metrics["writer"] == "old" else "new")
        if line % 25 == 0:  # What the dead one left disturbs no later writer and is removed by it.
            with monkeypatch.context() as patch:
                patch.setattr(module, "SWEEP", 0.0)
                store.write(make_run("later"))
            assert folders(store) == []
            assert {one.info.id for one in store.records()} >= {"later", *(["run"] if replace else [])}
    assert answer == "done" and line > 90
    first = "old" if replace else "none"
    assert values == sorted(values, key=[first, "new"].index)
    assert set(values) == {first, "new"}


def test_a_run_computed_elsewhere_is_computed_separately(
    store: Store, helper: Start, caplog: pytest.LogCaptureFixture
) -> None:
    process = helper("hold", store.root, "abc")
    folder = Path(process.stdout.readline().strip())
    assert (folder / "mine").exists()
    with store.workspace("abc") as own:
        assert own != folder and list(own.iterdir()) == []
    assert "another process" in caplog.text and "run abc" in caplog.text
    assert not own.exists() and (folder / "mine").exists()
    assert [(one.id, one.info, one.running) for one in store.unfinished()] == [
        ("abc", {"method": "eszsl"}, True)
    ]

    process.kill()
    process.wait()
    assert [one.running for one in store.unfinished()] == [False]
    caplog.clear()
    with caplog.at_level(logging.INFO, "zslbench"), store.workspace("abc") as again:
        assert again == folder and (again / "mine").read_text() == "checkpoint"
    assert caplog.text == ""
    assert store.unfinished() == [] and not folder.exists()
