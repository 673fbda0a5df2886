"""What only processes of their own can show: signals, several at once, folders that are read-only."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from zslbench.store.store import Store

pytestmark = pytest.mark.slow

LONG = (
    "run", "tf-vaegan", "--dataset=toy", "--select=last", "--threads=1", "--epochs=70", "--format=json",
    "--set=generator.hidden=8", "--set=generator.per_class=4", "--set=generator.batch_size=300",
    "--set=generator.critic_steps=1", "--set=generator.feedback_loops=1", "--set=classifier.epochs=1",
    "--set=dataset.images_per_class=10",
)  # fmt: skip


def only(zslbench: Any, *arguments: str) -> dict[str, Any]:
    found = json.loads(zslbench("runs", "--format=json", *arguments).stdout)
    assert len(found) == 1, found
    return dict(found[0])


def tensors(store: Path) -> dict[str, str]:
    """sha256 of every fitted tensor of the store's only run."""
    (record,) = Store(store).records()
    assert record.verify() == []
    table = record.table("networks")
    return dict(zip(table["tensor"], table["sha256"], strict=True))


def test_an_interrupted_run_goes_on(zslbench: Any, tmp_path: Path) -> None:
    assert zslbench("runs").exit_code == 0  # what it imports must not take time later
    process = zslbench.start(*LONG)
    assert process.stderr is not None
    while "· seed 0" not in process.stderr.readline():
        assert process.poll() is None
    time.sleep(0.2)  # a few epochs
    assert only(zslbench)["state"] == "running"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "checkpoint" in err
    assert err.splitlines()[-1].startswith("Error: stopped")
    assert only(zslbench)["state"] == "interrupted"
    assert only(zslbench, "--method=tf-vaegan", "--dataset=toy")["H"] is None
    assert json.loads(zslbench("table", "--format=json").stdout) == []

    resumed = zslbench(*LONG)
    assert resumed.exit_code == 0, resumed.stderr
    assert "checkpoint" in resumed.stderr
    assert "after epoch" in resumed.stderr
    assert only(zslbench)["state"] == "finished"
    assert list((zslbench.store / "unfinished").glob("[!.]*")) == []
    assert zslbench(*LONG, f"--store={tmp_path / 'whole'}").exit_code == 0
    assert tensors(zslbench.store) == tensors(tmp_path / "whole")


@pytest.mark.parametrize("closed", ["pipe", "terminal"])
def test_a_run_whose_output_is_closed_resumes(zslbench: Any, tmp_path: Path, closed: str) -> None:
    """As with ``2>&1 | head -1``, and as when somebody closes the window."""
    ours, theirs = os.openpty() if closed == "terminal" else os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "zslbench", *LONG],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) if closed == "terminal" else None,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    os.close(theirs)
    text = b""
    while b"seed 0" not in text:
        text += os.read(ours, 1000)
    os.close(ours)
    assert process.wait(60) == (141 if closed == "pipe" else 130)
    assert only(zslbench)["state"] == "interrupted"
    resumed = zslbench(*LONG)
    assert resumed.exit_code == 0, resumed.stderr
    assert "resumes from its last checkpoint" in resumed.stderr
    assert zslbench(*LONG, f"--store={tmp_path / 'whole'}").exit_code == 0
    assert tensors(zslbench.store) == tensors(tmp_path / "whole")


@pytest.mark.parametrize("command", [("--help",), ("runs",), ("methods", "--format=json"), ("table",)])
def test_a_command_whose_output_nobody_reads_ends_quietly(zslbench: Any, command: tuple[str, ...]) -> None:
    assert zslbench.eszsl().exit_code == 0
    process = zslbench.start(*command)
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == ""


def test_two_processes_at_once_end_with_one_whole_run(zslbench: Any) -> None:
    quick = (*LONG, "--epochs=20")
    processes = [zslbench.start(*quick) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    figures = [
        {name: value for name, value in json.loads(out)[0].items() if name != "seconds"} for out, _ in outputs
    ]
    assert figures[0] == figures[1]
    assert only(zslbench)["run"] == figures[0]["run"]
    assert tensors(zslbench.store)
    assert list((zslbench.store / "tmp").iterdir()) == []
    assert list((zslbench.store / "unfinished").glob("[!.]*")) == []


def test_the_installed_script_in_a_folder_that_is_read_only(zslbench: Any, tmp_path: Path) -> None:
    """Nothing is written but the store, and pipes get plain text."""
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o555)
    script = Path(sys.executable).with_name("zslbench")
    assert script.exists(), "install the package: pip install -e ."
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "HOME": str(home), "COLUMNS": "20",
        "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_DATA_HOME": str(home),
    }  # fmt: skip
    done = subprocess.run(
        [script, "run", "eszsl", "--dataset=toy", "--select=last", "--threads=1"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "eszsl · toy · seed 0\n"
    assert "\x1b" not in done.stdout
    row = done.stdout.splitlines()[4].split()
    assert row[:2] == ["0", "(last)"]
    assert row[-1] == only(zslbench)["run"]  # not folded to 20 columns
    assert list(folder.iterdir()) == []
    assert list(home.iterdir()) == []
