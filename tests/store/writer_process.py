"""Run by path in a process of its own: writes runs into a store, in the way that the first argument says."""
# ruff: noqa: T201 (standard output is how it answers the test)

from __future__ import annotations

import contextlib
import itertools
import os
import select
import shutil
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from processes import end_at_line
from records import DATA, IDENTITY

from zslbench.store import generations
from zslbench.store.record import RunContent, RunInfo, files_of
from zslbench.store.store import RunInUse, RunRemoved, Store

DISK = ("files.py", "generations.py", "store.py", "workspace.py")
"""Modules that write to the disk."""


def content(store: Store, run: str, seed: int, size: int = 3) -> RunContent:
    info = RunInfo(
        id=run,
        method="eszsl",
        variant=None,
        dataset="toy",
        seed=seed,
        selection="last",
        identity=IDENTITY | {"seed": seed},
        folder=store.runs / run,
    )
    table = pd.DataFrame({"writer": [seed] * size})
    return RunContent(info, {"writer": seed}, {}, DATA, tables={"epochs": table})


def many(store: Store, name: str, count: int) -> None:
    """``count`` runs of its own."""
    for i in range(count):
        store.write(content(store, f"{name}{i:04d}", i))


def race(store: Store, number: int, rounds: int) -> None:
    """In each round, waits for a line and writes the run of that round; answers with whose it got."""
    for turn in range(rounds):
        sys.stdin.readline()
        for replace in (False, True):
            record = store.write(content(store, f"race{turn}-{int(replace)}", number), replace=replace)
            # The table of a run that may be replaced at any moment is looked at in the end.
            assert replace or record.metrics["writer"] == record.table("epochs")["writer"].iloc[0]
        print(store.write(content(store, f"race{turn}-0", number)).metrics["writer"], flush=True)


def busy(store: Store, name: str, grace: int) -> None:
    """Writes runs until a line comes: ``same`` three again and again, ``gone`` removes them."""
    generations.GRACE = grace
    os.fsync = lambda handle: None  # slow, and it matters only when the machine loses power
    for i in itertools.count():
        if select.select([sys.stdin], [], [], 0)[0]:
            break
        run = f"same{i % 3}" if name == "same" else f"{name}{i:04d}"
        record = store.write(content(store, run, i), replace=name == "same")
        if name == "gone":
            shutil.rmtree(record.folder)
        elif name != "same" and i > 60:  # listings take longer with every run
            time.sleep(0.1 if i < 200 else 2.0)


def compute(store: Store, rounds: int) -> None:
    """Writes each of three runs again and again, in its workspace, as whoever computes it does."""
    for i in range(rounds):
        run = f"run{i % 3}"
        with contextlib.suppress(RunRemoved), store.workspace(run):
            store.write(content(store, run, i), replace=True)


def remove(store: Store) -> None:
    """Removes the three runs again and again until a line arrives on stdin; prints how many it removed."""
    removed = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        for run in ("run0", "run1", "run2"):
            with contextlib.suppress(RunInUse):
                removed += store.remove(run)
    print(removed, flush=True)


def forked(store: Store, replace: int) -> None:
    """For each line on stdin, ``delay`` or ``line k``: a forked child writes runs until it is killed.

    ``delay s``: killed after s seconds. ``line k``: it ends without any clean-up at the k-th line of code
    that it executes in the store. Answers "killed", or "done" when the child ended by itself.
    """
    files_of(content(store, "warm", 0), datetime.now(UTC))  # Imports what the children need.
    for command in sys.stdin:
        kind, number = command.split()
        child = os.fork()
        if child == 0:
            if kind == "line":
                end_at_line(int(number), lambda file: Path(file).name in DISK)
                store.write(content(store, "run", int(number)), replace=bool(replace))
                os._exit(0)
            for i in range(10_000):
                run = f"run{i % 3}" if replace else f"{os.getpid()}-{i}"
                store.write(content(store, run, i, size=2000), replace=bool(replace))
            os._exit(0)
        if kind == "delay":
            threading.Timer(float(number), os.kill, (child, 9)).start()
        status = os.waitpid(child, 0)[1]
        print("done" if status == 0 else "killed", flush=True)


def hold(store: Store, run: str) -> None:
    """Holds a workspace until it is killed."""
    with store.workspace(run) as folder:
        (folder / "mine").write_text("checkpoint")
        store.describe(folder, {"method": "eszsl"})
        print(folder, flush=True)
        time.sleep(600)


if __name__ == "__main__":
    what, root, *rest = sys.argv[1:]
    tasks = {one.__name__: one for one in (many, race, busy, compute, remove, forked, hold)}
    tasks[what](Store(Path(root)), *[int(one) if one.isdigit() else one for one in rest])  # type: ignore
