"""Run by path in a process of its own: keeps results of stages in the way that the first argument says."""
# ruff: noqa: T201 (standard output is how it answers the test)

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from processes import end_at_line

from zslbench.store.stages import StageStore

KEY = "0123456789abcdef"


def content(number: int) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    return {"net/w": torch.full((3000,), float(number))}, {"number": number, "seconds": 1.0}


def killed(folder: Path) -> None:
    """For each line k on stdin: a forked child keeps number 2 and ends without clean-up at its k-th line of
    zslbench code. Answers "killed", or "done" when it came to the end."""
    store = StageStore(folder)
    StageStore(folder.with_name("warm")).keep(KEY, *content(0))  # imports what the children need
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            end_at_line(int(line))
            store.keep(KEY, *content(2))
            os._exit(0)
        print("done" if os.waitpid(child, 0)[1] == 0 else "killed", flush=True)


def race(folder: Path, number: int, times: int) -> None:
    """After a line on stdin keeps its number so many times, and looks each time at what is there."""
    store = StageStore(folder)
    sys.stdin.readline()
    for _ in range(times):
        store.keep(KEY, *content(number))
        found = store.find(KEY)
        if found is not None:
            value = found[0]["net/w"]
            assert bool((value == found[1]["number"]).all())
    print("done", flush=True)


if __name__ == "__main__":
    what, root, *rest = sys.argv[1:]
    {"killed": killed, "race": race}[what](Path(root), *map(int, rest))  # type: ignore[operator]
