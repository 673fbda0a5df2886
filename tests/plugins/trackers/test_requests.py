"""How trackers are requested, and what happens to those that fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import zslbench
from zslbench.cli.main import cli
from zslbench.errors import MissingExtra, PluginError, SettingsError, UnknownName
from zslbench.experiment.events import requested_trackers
from zslbench.testing.fakes import registry_with, using_registry

PLUGIN = """
from zslbench import Tracker, hookimpl

@hookimpl
def zslbench_trackers():
    where = {"summary": "a fake"}
    yield Tracker(name="theirs", target="tracker_fake.model:Theirs", **where)
    yield Tracker(name="lame", target="tracker_fake.model:Lame", **where)
    yield Tracker(name="half", target="tracker_fake.model:Half", **where)
    yield Tracker(name="odd", target="tracker_fake.model:Odd", **where)
    yield Tracker(name="poor", target="tracker_fake.model:Theirs", requires=("no_such_thing",), **where)
    yield Tracker(
        name="poorer", target="tracker_fake.model:Theirs", requires=("json", "no.such"), extra="more", **where
    )
"""
MODEL = """
from zslbench.plugin import RunTracker

class Theirs(RunTracker):
    def __init__(self, where, folder):
        self.where = where
        self.calls = SAID
    place = "a list"
    def run_started(self, run): self.calls.append(("started", run.id))
    def epoch_ended(self, run, stage, epoch, metrics): self.calls.append((stage, epoch, dict(metrics)))
    def run_finished(self, run, record): self.calls.append(("finished", record.metrics))
    def run_stopped(self, run, error, interrupted): self.calls.append(("stopped", interrupted))
    def close(self): self.calls.append("closed")

SAID = []

class Lame(Theirs):
    def run_started(self, run):
        if self.where == "early":
            raise RuntimeError("no start")
    def epoch_ended(self, run, stage, epoch, metrics):
        metrics["softmax_loss"] = 0.0
    def run_finished(self, run, record): raise SystemExit("no end")
    def close(self): raise OSError("no close")

class Half(RunTracker):
    place = "nowhere"
    def __init__(self, where, folder): ...

class Odd: ...
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Registers the fakes; gives the calls of the tracker ``theirs``."""
    package = tmp_path / "path" / "tracker_fake"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(PLUGIN, "utf-8")
    (package / "model.py").write_text(MODEL, "utf-8")
    monkeypatch.syspath_prepend(tmp_path / "path")
    for name in [one for one in sys.modules if one.startswith("tracker_fake")]:
        del sys.modules[name]
    entry = EntryPoint("fake", "tracker_fake", "zslbench")
    with using_registry(registry_with(entry)):
        from tracker_fake.model import SAID  # type: ignore[import-not-found]

        yield SAID


@pytest.fixture
def eszsl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("ZSLBENCH_TRACK", raising=False)
    settings = {"dataset.classes": 10, "dataset.unseen": 3, "dataset.images_per_class": 10}

    def run(**options: Any) -> Any:
        options = {"threads": 1, "device": "cpu", "store": tmp_path / "store", "settings": settings} | options
        return zslbench.run("eszsl", dataset="toy", **options).records[0]

    return run


@pytest.mark.parametrize(
    ("track", "variable", "found"),
    [
        (None, "", []),
        (None, "jsonl, tensorboard=a b", [("jsonl", None), ("tensorboard", "a b")]),
        ((), "jsonl", []),
        ("none", "jsonl", []),
        ("JSONL = x=y ", "mlflow", [("jsonl", "x=y")]),
        (["jsonl", "jsonl", "jsonl=a"], "", [("jsonl", None), ("jsonl", "a")]),
    ],
)
def test_requests(track: Any, variable: str, found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZSLBENCH_TRACK", variable)
    assert requested_trackers(track) == found


@pytest.mark.parametrize("text", ["=x", "jsonl=", " "])
def test_malformed_requests(text: str) -> None:
    with pytest.raises(SettingsError, match="--track"):
        requested_trackers(text)


@pytest.mark.parametrize("text", ["jsonl=", "none-such"])
def test_what_the_variable_cannot_ask_for(text: str, eszsl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZSLBENCH_TRACK", text)
    with pytest.raises((SettingsError, UnknownName), match=f"^ZSLBENCH_TRACK: .*{text}"):
        eszsl()


def test_a_third_partys_tracker(calls: Any, eszsl: Any) -> None:
    record = eszsl(track="theirs")
    assert calls == [("started", record.info.id), ("finished", record.metrics), "closed"]
    eszsl(track=(), seeds=[1])  # each command requests trackers anew
    assert len(calls) == 3


def test_the_variable_requests_trackers(calls: Any, eszsl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZSLBENCH_TRACK", "theirs")
    eszsl()
    assert calls[0][0] == "started"


@pytest.mark.parametrize("where", ["early", "late"])
@pytest.mark.slow
def test_a_failing_tracker_harms_nothing(
    where: str, calls: Any, eszsl: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings: Mapping[str, Any] = {"generator.hidden": 8, "generator.per_class": 4, "classifier.epochs": 2}
    options = {"epochs": 2, "threads": 1, "device": "cpu", "settings": settings, "select": "last"}
    record = zslbench.run(
        "tf-vaegan", dataset="toy", store=tmp_path, track=[f"lame={where}", "theirs"], **options
    ).records[0]
    plain = zslbench.run("tf-vaegan", dataset="toy", store=tmp_path / "b", track=(), **options).records[0]
    assert record.metrics == plain.metrics
    warnings = [one.getMessage() for one in caplog.records if one.name == "zslbench"]
    start = ["plugin 'tracker lame': zslbench_run_started failed: RuntimeError: no start"]
    reason = "TypeError: 'mappingproxy' object does not support item assignment"
    late = [
        f"plugin 'tracker lame': zslbench_epoch_ended failed: {reason}",
        "plugin 'tracker lame': zslbench_run_finished failed: SystemExit: no end",
    ]
    assert warnings == [
        *(start if where == "early" else late),
        "tracker 'lame': close failed: OSError: no close",
    ]
    assert set(record.notes) == (set() if where == "early" else {late[0]})
    assert [one[0] for one in calls] == ["started", *["final/generator"] * 2, "final/gzsl", "final/gzsl",
                                        "final/czsl", "final/czsl", "finished", "c"]  # fmt: skip
    assert all(one[2]["softmax_loss"] > 0 for one in calls if one[0] == "final/gzsl")


@pytest.mark.parametrize(
    ("track", "error", "text"),
    [
        ("jsonll", UnknownName, "no tracker 'jsonll', did you mean 'jsonl'?"),
        ("poor", MissingExtra, "tracker 'poor' needs no_such_thing, which is not installed: install no_such"),
        ("poorer", MissingExtra, r"needs no\.such, .* pip install 'tracker_fake\[more\]'"),
        ("half", PluginError, "does not define epoch_ended, run_finished, run_started, run_stopped"),
        ("odd", PluginError, "zslbench.plugin.RunTracker"),
        ("jsonl={file}", SettingsError, "cannot be created"),
        ("jsonl={folder}.jsonl", SettingsError, "is a folder"),
        ("tensorboard={file}/x", SettingsError, "cannot be created"),
        ("mlflow=nothing://x", SettingsError, "cannot be used"),
    ],
)
def test_what_cannot_be_had_is_said_before_the_first_run(
    track: str, error: Any, text: str, calls: Any, eszsl: Any, tmp_path: Path
) -> None:
    name = track.partition("=")[0]
    if name in ("tensorboard", "mlflow"):
        pytest.importorskip(name, reason=f"needs the extra {name}")
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.jsonl").mkdir()
    given = track.format(file=tmp_path / "file", folder=tmp_path / "folder")
    with pytest.raises(error, match=text):
        eszsl(track=given)
    assert not any((tmp_path / "store" / "runs").iterdir())


def test_command_line(calls: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path / "store"))
    file = tmp_path / "deep" / "all.jsonl"
    command = ["run", "eszsl", "--dataset", "toy", "--threads", "1", "--seeds", "2", "--format", "json"]
    for _ in range(2):  # the second time both runs are found
        result = CliRunner().invoke(cli, [*command, "--track", f"jsonl={file}", "--track", "theirs"])
        assert result.exit_code == 0, result.output
    assert f"tracker jsonl writes to {file}" in result.stderr
    runs = {row["run"] for row in json.loads(result.stdout)}
    lines = [json.loads(one) for one in file.read_text("utf-8").splitlines()]
    assert [one["event"] for one in lines] == ["started", "finished"] * 2
    assert {one["run"] for one in lines} == runs
    assert [one[0] for one in calls] == ["started", "finished", "started", "finished", "c", "c"]


def test_ablations_are_followed_too(calls: Any, tmp_path: Path) -> None:
    settings = {"generator.hidden": 8, "generator.per_class": 4, "classifier.epochs": 1}
    zslbench.ablate(
        "tf-vaegan", dataset="toy", variants=["no-transform"], epochs=1, select="last", threads=1,
        settings=settings, store=tmp_path, track="theirs",
    )  # fmt: skip
    assert [one[0] for one in calls].count("finished") == 2


def test_listing(calls: Any) -> None:
    result = CliRunner().invoke(cli, ["trackers", "--format", "json"])
    found = {row["tracker"]: (row["plugin"], row["status"]) for row in json.loads(result.stdout)}
    assert found["jsonl"] == ("trackers", "ok")
    assert found["poor"] == ("fake", "missing: install no_such_thing")
    assert found["poorer"] == ("fake", "missing: pip install 'tracker_fake[more]'")
    shown = CliRunner().invoke(cli, ["trackers"], env={"COLUMNS": "200"}).stdout
    assert "One JSON object per line" in shown


def test_a_line_cut_short_is_passed_over(eszsl: Any, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    file.write_text('{"event": "epoch", "run": "x", "att', "utf-8")
    eszsl(track=f"jsonl={file}")
    cut, *lines = file.read_text("utf-8").splitlines()
    assert cut.endswith('"att')
    assert [json.loads(one)["event"] for one in lines] == ["started", "finished"]
