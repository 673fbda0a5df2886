"""A task's worker is an ordinary process, which stops, is waited for, and is replaced once if it dies."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from zslbench_slurm import task
from zslbench_slurm.task import STOPPED, Task


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "_SETTLE", 0.0)


def worker(program: str, folder: Path) -> Task:
    """A task whose worker runs this program; it may add a line to the file ``begun``."""
    begun = f"import os; open({str(folder / 'begun')!r}, 'a').write('x')\n"
    return Task((sys.executable, "-c", begun + textwrap.dedent(program)), folder, (0, 1), folder / "log")


def begun(folder: Path) -> int:
    return len((folder / "begun").read_text())


def test_a_worker_that_ends(tmp_path: Path) -> None:
    worker("", tmp_path)()
    assert begun(tmp_path) == 1


def test_what_workers_say_is_in_one_log(tmp_path: Path) -> None:
    program = """
        import sys
        print("out", open({here!r}).read(), flush=True)
        print("err", file=sys.stderr)
        raise SystemExit(open({here!r}).read() == "x")
    """
    worker(program.format(here=str(tmp_path / "begun")), tmp_path)()
    assert (tmp_path / "log").read_text().split() == ["out", "x", "err", "out", "xx", "err"]


def test_a_worker_that_was_stopped_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as end:
        worker(f"raise SystemExit({STOPPED})", tmp_path)()
    assert end.value.code == STOPPED and begun(tmp_path) == 1


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    dies_once = f"""
        if open({str(tmp_path / "begun")!r}).read() == "x":
            os.kill(os.getpid(), 9)
    """
    worker(dies_once, tmp_path)()
    assert begun(tmp_path) == 2


@pytest.mark.parametrize(("program", "code"), [("os.kill(os.getpid(), 9)", 137), ("raise SystemExit(3)", 3)])
def test_groups_of_a_worker_that_dies_twice_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, code: int
) -> None:
    failed: list[str] = []
    monkeypatch.setattr(Task, "_fail", lambda self, message: failed.append(message))
    with pytest.raises(SystemExit) as end:
        worker(program, tmp_path)()
    assert end.value.code == code and begun(tmp_path) == 2 and len(failed) == 1


def test_before_the_time_limit_the_worker_stops_and_the_same_task_is_requeued(tmp_path: Path) -> None:
    """As submitit does it: the handler of its signal interrupts the call that waits for the worker."""
    stops_slowly = f"""
        import pathlib, signal, time
        here = pathlib.Path({str(tmp_path)!r})
        asked = []
        signal.signal(signal.SIGUSR2, lambda *_: asked.append(1))
        (here / "ready").touch()
        while not asked:
            time.sleep(0.01)
        time.sleep(0.3)
        (here / "stopped").touch()
        raise SystemExit({STOPPED})
    """
    program = f"""
        import sys
        sys.path[:0] = {sys.path!r}
        import os, pickle, signal
        from zslbench_slurm import task
        task._SETTLE = 0.0
        one = pickle.loads({pickle.dumps(worker(stops_slowly, tmp_path))!r})
        def handler(number, frame):
            again = one.checkpoint()
            assert os.path.exists({str(tmp_path / "stopped")!r})
            assert again.function == one and not again.args
            os._exit(77)
        signal.signal(signal.SIGUSR2, handler)
        one()
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])
    try:
        while not (tmp_path / "ready").exists():
            assert process.poll() is None
        process.send_signal(signal.SIGUSR2)
        assert process.wait(60) == 77
    finally:
        process.kill()
        process.wait()


def test_a_checkpoint_after_the_worker_has_ended(tmp_path: Path) -> None:
    one = worker("", tmp_path)
    one()
    assert one.checkpoint().function == one
