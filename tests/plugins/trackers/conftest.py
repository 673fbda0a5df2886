"""A tiny run that can be stopped after an epoch, and what each tracker wrote of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from processes import press_ctrl_c

import zslbench
from zslbench import hookimpl
from zslbench.plugin.discovery import registry
from zslbench.store.record import RunRecord

TINY: dict[str, Any] = {
    "dataset.classes": 10,
    "dataset.unseen": 3,
    "dataset.images_per_class": 15,
    "dataset.attributes": 10,
    "dataset.channels": 12,
    "generator.hidden": 8,
    "generator.batch_size": 32,
    "generator.per_class": 4,
    "generator.critic_steps": 1,
    "classifier.epochs": 2,
    "classifier.batch_size": 30,
}


@dataclass
class Attempt:
    """One attempt at a run as a tracker has it."""

    epochs: list[tuple[str, int, str, float]] = field(default_factory=list)
    """Stage, epoch, figure, value, sorted; the figures of the last evaluations are among them."""
    final: dict[str, float] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    """Settings and the like, as text."""
    stopped: str | None = None


@dataclass
class Listener:
    """Stops a run after an epoch, after its trackers were called."""

    stage: str
    epoch: int

    @hookimpl(trylast=True)
    def zslbench_epoch_ended(self, stage: str, epoch: int) -> None:
        if (stage, epoch) == (self.stage, self.epoch):
            press_ctrl_c()  # twice: the first asks for a stop at the next checkpoint
            press_ctrl_c()


Run = Callable[..., RunRecord | None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of tf-vaegan, stopped after an epoch of a stage if requested (None is then given)."""
    monkeypatch.delenv("ZSLBENCH_TRACK", raising=False)
    # A checkpoint after every iteration: the last one lies just before the end of the epoch.
    monkeypatch.setenv("ZSLBENCH_CHECKPOINT_SECONDS", "0")

    def one(*, stop: tuple[str, int] | None = None, store: str = "store", **options: Any) -> RunRecord | None:
        settings = TINY | options.pop("settings", {})
        options = {"epochs": 3, "every": 1, "threads": 1, "device": "cpu"} | options

        def compute() -> RunRecord:
            done = zslbench.run(
                "tf-vaegan", dataset="toy", settings=settings, store=tmp_path / store, **options
            )
            return done.records[0]

        if stop is None:
            return compute()
        with registry().listening(Listener(*stop), "stopper"), pytest.raises(KeyboardInterrupt):
            compute()
        return None

    return one


def read_jsonl(folder: Path) -> list[Attempt]:
    (file,) = folder.glob("*.jsonl")
    attempts: dict[int, Attempt] = {}
    for text in file.read_text("utf-8").splitlines():
        line = json.loads(text)
        one = attempts.setdefault(line["attempt"], Attempt())
        if line["event"] == "started":
            one.facts = {k: str(v) for k, v in (line["parameters"] | line["tags"]).items()}
        if line["event"] == "stopped":
            one.stopped = line["reason"]
        lines = [line] if line["event"] == "epoch" else line.get("evaluations", [])
        one.epochs += [(it["stage"], it["epoch"], k, v) for it in lines for k, v in it["metrics"].items()]
        if line["event"] == "finished":
            one.final, one.stopped = line["figures"], None
    return list(attempts.values())


def read_tensorboard(folder: Path) -> list[Attempt]:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = []
    for place in sorted({path.parent for path in folder.rglob("events.out.*")}, key=str):
        events = EventAccumulator(str(place), {"scalars": 0, "tensors": 0})
        events.Reload()
        one = Attempt()
        for tag in events.Tags()["scalars"]:
            stage, _, name = tag.rpartition("/")
            for point in events.Scalars(tag):
                if stage in ("final", "oracle"):
                    one.final[tag] = point.value
                else:
                    one.epochs.append((stage, point.step, name, point.value))

        def text(tag: str, events: Any = events) -> str:
            return str(events.Tensors(f"{tag}/text_summary")[-1].tensor_proto.string_val[0], "utf-8")

        for row in (text("settings") + "\n" + text("origin")).splitlines():
            cells = [cell.strip() for cell in row.strip("| ").split(" | ")]
            if len(cells) == 2:
                one.facts[cells[0]] = cells[1]
        if "stopped/text_summary" in events.Tags()["tensors"] and not one.final:
            one.stopped = text("stopped").removeprefix("failed: ")
        found.append(one)
    return found


def read_mlflow(folder: Path) -> list[Attempt]:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "zslbench"]
    found = []
    for it in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]):
        one = Attempt(facts={**it.data.params})
        one.facts |= {k.removeprefix("zslbench."): v for k, v in it.data.tags.items()}
        for key in it.data.metrics:
            stage, _, name = key.rpartition("/")
            for point in client.get_metric_history(it.info.run_id, key):
                if stage in ("final", "oracle"):
                    one.final[key] = point.value
                else:
                    one.epochs.append((stage, point.step, name, point.value))
        states = {"FINISHED": None, "RUNNING": "running", "KILLED": "interrupted"}
        one.stopped = states.get(it.info.status, it.data.tags.get("zslbench.stopped"))
        found.append(one)
    return found


READERS = {"jsonl": read_jsonl, "tensorboard": read_tensorboard, "mlflow": read_mlflow}


@dataclass(frozen=True)
class Followed:
    """A tracker under test, with its own folder."""

    name: str
    folder: Path

    @property
    def track(self) -> str:
        return f"{self.name}={self.folder}"

    def attempts(self) -> list[Attempt]:
        found: list[Attempt] = READERS[self.name](self.folder)  # type: ignore[operator]
        for one in found:
            one.epochs.sort()
        return found


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database without runs: making its tables takes seconds, copying them none."""
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    from mlflow.tracking import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(params=list(READERS))
def followed(request: pytest.FixtureRequest, tmp_path: Path) -> Followed:
    folder = tmp_path / "followed"
    if request.param == "mlflow":
        folder.mkdir()
        shutil.copy(request.getfixturevalue("mlflow_tables"), folder)
    elif request.param == "tensorboard":
        pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    return Followed(request.param, folder)
