"""Suites on a real SLURM of one node: they end as on this machine alone, whatever happens to their tasks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small import TF_VAEGAN

from zslbench.experiment import Submission, submissions
from zslbench.store import RunRecord, Store

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_slurm")]

PATIENCE = 600.0
"""Seconds that anything may take on a loaded machine."""

HOLD = "ZSLBENCH_TEST_HOLD"


def suite(name: str, seeds: list[int], *lines: str) -> str:
    """A suite of tiny runs, as a file has it."""
    dataset = "\n".join(f"{key} = {value}" for key, value in TF_VAEGAN.items() if key.startswith("dataset."))
    return (
        f'name = "{name}"\ndatasets = ["toy"]\nseeds = {seeds}\nselect = ["val"]\nepochs = 2\nevery = 1\n'
        f"[settings]\n{dataset}\n" + "\n".join(f"[[methods]]\n{line}" for line in lines)
    )


_REST = [f"settings.{key} = {value}" for key, value in TF_VAEGAN.items() if not key.startswith("dataset.")]
TRAINS = "\n".join(['method = "tf-vaegan"', *_REST])
RAISES = "\n".join([TRAINS, 'label = "diverges"', "settings.generator.lr = 1e30"])
TWELVE = suite("twelve", [0, 1, 2, 3], TRAINS, 'method = "eszsl"', RAISES)
ONE = suite("one", [10], TRAINS)
THREE = suite("three", [20, 21, 22], TRAINS)


class Cluster:
    """A folder with suites, a store and runs that are held, and commands in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.hold = folder, folder / "hold"
        self.hold.mkdir()
        self.store, self.alone = Store(folder / "store"), Store(folder / "alone")
        self.started: list[subprocess.Popen[bytes]] = []

    def held(self, seed: int) -> Path:
        """The file that makes tf-vaegan with this seed wait at the end of an epoch."""
        return self.hold / f"tf-vaegan-{seed}"

    def command(self, *words: str, store: Store | None = None) -> list[str]:
        return [sys.executable, "-m", "zslbench", *words, "--store", str((store or self.store).root)]

    def bench(
        self, name: str, content: str, *words: str, store: Store | None = None
    ) -> subprocess.Popen[bytes]:
        """Start ``zslbench bench``; its messages are in the file ``<name>.out``."""
        (self.folder / f"{name}.toml").write_text(content)
        command = self.command("bench", f"{name}.toml", "--device", "cpu", *words, store=store)
        with (self.folder / f"{name}.out").open("ab") as out:
            process = subprocess.Popen(command, cwd=self.folder, stdout=out, stderr=out)
        self.started.append(process)
        return process

    def output(self, name: str) -> str:
        return (self.folder / f"{name}.out").read_text()

    def jobs(self, *words: str) -> list[dict[str, Any]]:
        """What ``zslbench jobs`` shows."""
        command = self.command("jobs", *words, "--format", "json")
        found: list[dict[str, Any]] = json.loads(
            subprocess.run(command, check=True, capture_output=True).stdout
        )
        return found

    def submission(self, suite: str) -> Submission:
        """The latest one of a suite, once it is there."""

        def latest() -> Submission | None:
            names = (one for one in submissions(self.store) if one.name.startswith(suite))
            return next((one for one in names if (one.folder / "slurm.json").exists()), None)

        return until(latest)

    def training(self, suite: str, seed: int, attempt: int = 1) -> tuple[int, str]:
        """The process that trains a seed of the suite's first line, and its job, once an epoch has ended."""
        submission = self.submission(suite)
        group = next(
            one.number
            for one in submission.groups
            if one.cells[0].seed == seed and one.cells[0].line == "tf-vaegan"
        )

        def trains() -> int | None:
            state = submission.states().get(group)
            ready = state and state.state == "running" and state.epoch and state.attempts >= attempt
            return state.pid if ready and state else None

        tasks = json.loads((submission.folder / "slurm.json").read_text())["tasks"]
        return until(trains), next(one["job"] for one in tasks if group in one["groups"])

    def ends(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code of a command."""
        return process.wait(PATIENCE)


def slurm(*command: str) -> str:
    """What a command of SLURM says."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def until(found: Callable[[], Any]) -> Any:
    """What the function gives, once it gives something."""
    deadline = time.monotonic() + PATIENCE
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return value


@pytest.fixture(scope="module")
def cluster(real_slurm: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    info = folder / "zslbench_hold-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zslbench-hold\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zslbench]\nhold = zslbench_hold\n")
    one = Cluster(folder)
    with pytest.MonkeyPatch.context() as patch:
        path = [str(folder), str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        patch.setenv(HOLD, str(one.hold))
        patch.setenv("ZSLBENCH_CHECKPOINT_SECONDS", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        try:
            yield one
        finally:
            for process in one.started:
                process.kill()
                process.wait()


@pytest.fixture(scope="module")
def ended(cluster: Cluster) -> Cluster:
    """Twelve runs, three at a time: one worker is killed, one task is requeued, four runs raise. At the same
    time a suite of one run, whose task reaches its time limit, and the twelve without SLURM."""
    alone = cluster.bench("alone", TWELVE, "--threads", "1", store=cluster.alone)
    for seed in (0, 1, 10):
        cluster.held(seed).touch()
    limited = cluster.bench("one", ONE, "--executor", "slurm")
    twelve = cluster.bench("twelve", TWELVE, "--executor", "slurm", "--slurm", "array_parallelism=3")
    _, job = cluster.training("one", 10)
    # The limit is set when it trains: a loaded machine may take a minute until then.
    minutes = slurm("squeue", "--noheader", "--format=%M", f"--jobs={job}").split(":")[:-1]
    slurm("scontrol", "update", f"JobId={job}", f"TimeLimit={int(minutes[-1]) + 2}")
    killed, _ = cluster.training("twelve", 0)
    os.kill(killed, signal.SIGKILL)
    cluster.held(0).unlink()
    _, requeued = cluster.training("twelve", 1)
    slurm("scontrol", "requeue", requeued)
    cluster.held(1).unlink()
    log = cluster.submission("one").logs / "0.log"
    until(lambda: "stopping at the next checkpoint" in log.read_text())
    slurm("scontrol", "update", f"JobId={job}", "TimeLimit=60")
    cluster.held(10).unlink()
    assert cluster.ends(limited) == 0, cluster.output("one")
    assert cluster.ends(twelve) == 1, cluster.output("twelve")  # four runs diverge
    assert cluster.ends(alone) == 1, cluster.output("alone")
    return cluster


def records(store: Store) -> dict[str, RunRecord]:
    return {one.info.id: one for one in store.records()}


def figures(record: RunRecord) -> dict[str, Any]:
    """Everything that a run computes: the metrics, all tables, and the digests of its networks."""
    tables = ("epochs", "candidates", "classes", "predictions", "curve", "networks")
    return {"metrics": record.metrics} | {name: record.table(name).to_dict("list") for name in tables}


def test_the_suite_ends_as_it_does_alone_bit_for_bit(ended: Cluster) -> None:
    expected, found = records(ended.alone), records(ended.store)
    assert len(expected) == 8 and set(found) >= set(expected)
    for run, record in expected.items():
        assert repr(figures(found[run])) == repr(figures(record))
    left, expected_left = ({one.id for one in store.unfinished()} for store in (ended.store, ended.alone))
    assert left == expected_left  # the checkpoints of those that diverge


def test_runs_that_were_interrupted_resumed_from_a_checkpoint(ended: Cluster) -> None:
    resumed = {
        (record.info.method, record.info.seed)
        for record in records(ended.store).values()
        if record.info.resumed
    }
    assert resumed >= {("tf-vaegan", seed) for seed in (0, 1, 10)}


def test_a_killed_worker_was_replaced_in_its_task(ended: Cluster) -> None:
    submission = ended.submission("twelve")
    logs = "".join(path.read_text() for path in (submission.folder / "slurm").glob("*_log.err"))
    assert "exit code -9" in logs
    assert submission.states()[0].attempts >= 2


def test_the_time_limit_requeued_the_task(ended: Cluster) -> None:
    submission = ended.submission("one")
    logs = "".join(path.read_text() for path in (submission.folder / "slurm").glob("*_log.*"))
    assert "Requeued job" in logs
    (state,) = submission.states().values()
    assert state.state == "ended" and state.attempts >= 2


def test_runs_that_raise_failed_with_the_error_of_a_run_alone(ended: Cluster) -> None:
    pattern = re.compile(r"^failed: (diverges on toy, val, seed \d: .*)$", re.MULTILINE)
    expected, found = (set(pattern.findall(ended.output(name))) for name in ("alone", "twelve"))
    assert len(expected) == 4 and found == expected


def test_jobs_shows_what_has_ended_and_failed(ended: Cluster) -> None:
    rows = [row for row in ended.jobs("--all") if row["submission"].startswith("twelve")]
    states = {(row["line"], row["seeds"]): row["state"] for row in rows}
    expected = {"tf-vaegan": "finished", "eszsl": "finished", "diverges": "1 failed"}
    assert states == {(line, str(seed)): state for line, state in expected.items() for seed in range(4)}
    assert {row["line"] for row in ended.jobs()} == {"diverges"}


def test_attach_and_cancel(cluster: Cluster) -> None:
    """A killed shell loses nothing: the same command attaches. What was cancelled resumes when submitted."""
    words = ("--executor", "slurm", "--slurm", "array_parallelism=2", "--slurm", "groups_per_task=1")
    for seed in (20, 21):
        cluster.held(seed).touch()
    shell = cluster.bench("three", THREE, *words)
    cluster.training("three", 21)
    shell.kill()
    shell.wait()
    rows = {row["seeds"]: row for row in cluster.jobs() if row["submission"].startswith("three")}
    assert rows["21"]["state"] == "running" and rows["21"]["at"] == "validation/generator 1/2"
    assert rows["22"]["state"] == "pending" and "JobArrayTaskLimit" in rows["22"]["where"]

    attached = cluster.bench("three", THREE, *words)
    until(lambda: "attached to" in cluster.output("three"))
    name = cluster.submission("three").name
    states = slurm("squeue", "--noheader", "--array", "--format=%T").split()
    assert sorted(states) == ["PENDING", "RUNNING", "RUNNING"]
    subprocess.run(cluster.command("jobs", "cancel", name), check=True)
    for seed in (20, 21):
        cluster.held(seed).unlink()
    assert cluster.ends(attached) == 130
    assert len([one for one in submissions(cluster.store) if one.name.startswith("three")]) == 1
    before = {one.id for one in cluster.store.unfinished() if one.info["seed"] in (20, 21, 22)}
    assert len(before) == 2

    again = cluster.bench("three", THREE, *words)
    assert cluster.ends(again) == 0, cluster.output("three")
    found = records(cluster.store)
    assert all(found[run].info.resumed for run in before)
    assert cluster.submission("three").name != name


def test_workers_of_a_search(cluster: Cluster) -> None:
    """``tune`` waits for its workers, and ends with the trials and the preset of a search on this machine."""
    words = ["tune", "eszsl", "--dataset", "toy", "--trials", "4", "--device", "cpu", "--format", "json"]
    words += [
        word for key, value in TF_VAEGAN.items() if "dataset" in key for word in ("--set", f"{key}={value}")
    ]
    found = []
    for store, more in (
        (cluster.alone, ["--threads", "1"]),
        (cluster.store, ["--executor", "slurm", "--workers", "2"]),
    ):
        done = subprocess.run(cluster.command(*words, *more, store=store), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        trials = json.loads(done.stdout)
        found.append([{key: one[key] for key in one if key not in ("trial", "seconds")} for one in trials])
    assert len(found[0]) == 4 and found[0] == found[1]
    (submission,) = (one for one in submissions(cluster.store) if one.name.startswith("tune-eszsl-toy"))
    assert {one.state for one in submission.states().values()} == {"ended"}
    rows = [row for row in cluster.jobs("--all") if row["submission"] == submission.name]
    assert [row["state"] for row in rows] == ["finished"] * 2
