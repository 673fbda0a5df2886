"""Searches that are interrupted, killed, shared or confused with others."""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tiny import RATES, TRAINED, content

import zslbench
from zslbench.errors import Interrupted, SettingsError, ZslbenchError
from zslbench.training.context import Silent
from zslbench_tune import study
from zslbench_tune.search import Search

pytestmark = pytest.mark.slow

WORKER = Path(__file__).with_name("worker_process.py")


def journal(file: Path) -> JournalStorage:
    """The storage of a study, as any program of Optuna's opens it."""
    return JournalStorage(JournalFileBackend(str(file)))


class StopsAt:
    """A display that requests a stop, as Ctrl-C does, after an epoch of the n-th fit."""

    def __init__(self, fit: int, epoch: int) -> None:
        self.fit, self.epoch, self.fits, self.said = fit, epoch, 0, list[str]()
        self.resumed: list[tuple[str, int]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    @contextmanager
    def observer(self, title: str) -> Iterator[Any]:
        self.fits += 1
        outer = self

        class Stopper(Silent):
            def stage_started(self, stage: str, epochs: int, done: int) -> None:
                outer.resumed.append((stage, done))

            def epoch_ended(self, stage: str, epoch: int, epochs: int, metrics: Mapping[str, float]) -> None:
                if stage.endswith("/generator") and (outer.fits, epoch) == (outer.fit, outer.epoch):
                    os.kill(os.getpid(), signal.SIGINT)

        yield Stopper()


@pytest.mark.parametrize("fits", [{"seeds": 2}, {"validation_splits": 2}])
def test_a_stopped_search_is_resumed(tune: Any, fits: dict[str, int]) -> None:
    whole = tune(trained=True, trials=1, store="whole", **fits)
    first, second = StopsAt(fit=2, epoch=2), StopsAt(fit=99, epoch=0)
    with pytest.raises(Interrupted):  # in the second seed or split
        tune(trained=True, trials=1, display=first, **fits)
    found = tune(trained=True, trials=1, display=second, **fits)
    assert content(found) == content(whole)
    assert [one.number for one in found.trials] == [1]  # trial 0 was interrupted, 1 repeats it
    # The first fit is complete, the second resumes after epoch 2.
    generators = [done for stage, done in second.resumed if stage == "validation/generator"]
    assert generators == [3, 2]


def test_trials_count_the_whole_study(tune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tune(trials=5, store="whole")
    tune(trials=2)
    found = tune(trials=5)
    assert content(found) == content(whole)

    def never(*arguments: Any) -> Any:
        raise AssertionError("computed")

    monkeypatch.setattr(Search, "value", never)
    assert content(tune(trials=5)) == content(tune(trials=3)) == content(whole)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two trials of the search of ``worker_process``, computed by one process without interruption."""
    return zslbench.tune(
        "tf-vaegan", dataset="toy", trials=2, search=RATES, settings=TRAINED, epochs=3, every=1, threads=1,
        device="cpu", store=tmp_path_factory.mktemp("undisturbed"),
    )  # fmt: skip


def test_a_killed_workers_trial_is_repeated(tune: Any, undisturbed: Any, tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, str(WORKER), str(tmp_path / "store"), "kill"], check=False)
    assert killed.returncode == -signal.SIGKILL
    display = StopsAt(fit=99, epoch=0)
    found = tune(trained=True, trials=2, display=display)
    # Trial 0 is repeated under another number: nobody holds the lock of its process.
    assert {one.number for one in found.trials} == {1, 2}
    assert sorted(content(found), key=str) == sorted(content(undisturbed), key=str)
    generators = [done for stage, done in display.resumed if stage == "validation/generator"]
    assert sorted(generators) == [0, 1]  # the repetition from a checkpoint in epoch 2 of the killed process
    assert not list((tmp_path / "store" / "tuning" / "unfinished").glob("*[!k]/"))


def test_two_processes_share_a_study(tune: Any, undisturbed: Any, tmp_path: Path) -> None:
    command = [sys.executable, str(WORKER), str(tmp_path / "store"), "wait"]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [one.wait(600) for one in processes] == [0, 0]
    (file,) = (tmp_path / "store" / "tuning").glob("*.journal")
    trials = optuna.load_study(study_name="zslbench", storage=journal(file)).trials
    assert [one.state.name for one in trials] == ["COMPLETE"] * 2  # no surplus trial
    assert len({one.user_attrs["worker"] for one in trials}) == 2
    # The first ten trials are random, each from its own generator, whichever process computes them.
    assert content(tune(trained=True, trials=2)) == content(undisturbed)


@pytest.mark.parametrize("reads", [1, 2, 3, 4])
def test_a_trial_that_ends_between_two_reads_is_not_missed(
    tune: Any, monkeypatch: pytest.MonkeyPatch, reads: int
) -> None:
    """Another process's last trial counts as running in the first reads and as complete in later ones."""
    assert len(tune(trials=2).trials) == 2
    read, count = study.Study._trials, itertools.count()

    def trials(self: study.Study) -> list[Any]:
        found = [copy.copy(one) for one in read(self)]
        if next(count) < reads:
            found[1].state, found[1].values = optuna.trial.TrialState.RUNNING, None
        return found

    monkeypatch.setattr(study.Study, "_trials", trials)
    assert len(tune(trials=2).trials) == 2


def test_workers_of_one_command(tune: Any, tmp_path: Path) -> None:
    found = tune(trials=6, workers=2, validation_splits=2)
    assert len(found.trials) == 6
    assert all(one.state == "done" and len(one.splits) == 2 for one in found.trials)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"search": {"classifier.gamma": "1e-3:1e2:log", "classifier.lam": "1e-3:1e3:log"}},
            "space.classifier",
        ),
        ({"seeds": 2}, "seeds is [0] there, [0, 1] here"),
        ({"validation_splits": 3}, "validation_splits.number is absent there, 3 here"),
        ({"settings": {"classifier.coding": "01"}}, "settings.classifier.coding is pm1 there, 01 here"),
        ({"settings": {"dataset.seed": 7}}, "data."),
        ({"trained": True}, "components.classifier is eszsl there, softmax here"),
    ],
)
def test_searches_are_not_mixed(tune: Any, tmp_path: Path, changed: Any, words: str) -> None:
    journal = tmp_path / "a.journal"
    tune(trials=1, journal=journal)
    with pytest.raises(SettingsError, match=r"a\.journal") as caught:
        tune(journal=journal, **changed)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(tune(trials=1, journal=journal).trials) == 1


def test_files_that_are_not_studies(tune: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.journal"
    file.write_text('{"op_code": 0, "worker_id": "a journal of an earlier version"}\n' * 50)
    before = file.read_bytes()
    with pytest.raises(SettingsError, match=r"a\.journal"):
        tune(journal=file)
    assert file.read_bytes() == before
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE accounts (owner TEXT)")
        database.commit()
    before = other.read_bytes()
    with pytest.raises(SettingsError, match=r"other\.db"):
        tune(journal=other)
    assert other.read_bytes() == before
    (tmp_path / "folder").mkdir()
    with pytest.raises(ZslbenchError, match="folder"):
        tune(journal=tmp_path / "folder")


def test_a_file_with_an_odd_name(tune: Any, tmp_path: Path) -> None:
    assert len(tune(trials=1, journal=tmp_path / "a b?c#d%20.db").trials) == 1
    assert (tmp_path / "a b?c#d%20.db").stat().st_size


def test_a_line_that_a_full_disk_left_unfinished(tune: Any, tmp_path: Path) -> None:
    whole = tune(trials=4, store="whole")
    file = tmp_path / "a.journal"
    tune(trials=2, journal=file)
    with file.open("ab") as cut:
        cut.write(b'{"op_code": 6, "worker_')
    assert content(tune(trials=4, journal=file)) == content(whole)
    assert all(line.startswith("{") and line.endswith("}") for line in file.read_text().splitlines())


def test_a_trial_that_another_process_took_over(tune: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suspended process looks dead to the others, which repeat its trial."""
    whole = tune(trials=2, store="whole")
    compute = Search.value
    stolen = []

    def suspended(self: Any, *arguments: Any) -> Any:
        value = compute(self, *arguments)
        if not stolen:
            other = optuna.load_study(study_name="zslbench", storage=journal(self.file))
            (running,) = (one for one in other.trials if one.state.name == "RUNNING")
            other.tell(running.number, state=optuna.trial.TrialState.FAIL)
            stolen.append(True)
        return value

    monkeypatch.setattr(Search, "value", suspended)
    assert content(tune(trials=2)) == content(whole)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sampler": "tpee"}, "did you mean 'tpe'"),
        ({"pruner": "x"}, "known: median, none"),
        ({"trials": 0}, "0 trials"),
        ({"workers": 0}, "0 workers"),
        ({"seeds": 0}, "seeds 0"),
    ],
)
def test_invalid_arguments(tune: Any, options: Any, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        tune(**options)
