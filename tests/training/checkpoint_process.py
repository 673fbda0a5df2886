"""Run by path in a process of its own: saves checkpoints into a folder until it is killed."""
# ruff: noqa: T201 (standard output is how it answers the test)

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from processes import end_at_line

from zslbench.training.checkpoint import load, save


def state(step: int) -> dict[str, torch.Tensor]:
    return {"a": torch.full((20_000,), step), "b/c": torch.full((3, 2), float(step)).T}


def main(folder: Path) -> None:
    """For each line on stdin, ``delay s`` or ``line k``: a forked child loads, then saves one or many times.

    ``delay s``: killed after s seconds. ``line k``: one save, ended without clean-up at the k-th line of
    zslbench code. Answers with the last step whose save returned (-1: none), and whether it was killed.
    """
    torch.set_num_threads(1)
    save(folder.with_name("warm"), state(0), {})
    for command in sys.stdin:
        kind, number = command.split()
        back, forth = os.pipe()
        child = os.fork()
        if child == 0:
            if kind == "line":
                end_at_line(int(number))
            found = load(folder)
            step = 0 if found is None else found[1]["step"]
            for _ in range(1 if kind == "line" else 10_000):
                step += 1
                save(folder, state(step), {"step": step})
                os.write(forth, f"{step}\n".encode())
            os._exit(0)
        os.close(forth)
        if kind == "delay":
            threading.Timer(float(number), os.kill, (child, 9)).start()
        with os.fdopen(back) as answers:
            saved = answers.read().split()
        status = os.waitpid(child, 0)[1]
        print(saved[-1] if saved else -1, "done" if status == 0 else "killed", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
