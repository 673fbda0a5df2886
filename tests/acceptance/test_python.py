"""The same from Python: ``zslbench.run`` and what it returns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import zslbench
from zslbench.store.store import Store

TINY: dict[str, Any] = {
    "generator.hidden": 8, "generator.per_class": 4, "generator.batch_size": 256, "generator.critic_steps": 1,
    "classifier.epochs": 2, "dataset.images_per_class": 10,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("ZSLBENCH_DATA", str(tmp_path / "no-data"))
    yield


def test_seeds_and_their_frame(capfd: pytest.CaptureFixture[str]) -> None:
    result = zslbench.run("tf-vaegan", dataset="toy", seeds=2, epochs=2, settings=TINY, threads=1)
    assert isinstance(result, zslbench.Result)
    assert (len(result.records), result.found) == (2, 0)
    frame, summary = result.frame(), result.summary()
    assert list(frame["seed"]) == [0, 1]
    assert list(frame["run"]) == [record.info.id for record in result.records]
    u, s = frame["U"], frame["S"]
    expected = (2 * u * s / (u + s)).where(u + s > 0, 0.0)
    pd.testing.assert_series_equal(frame["H"], expected, check_names=False)
    assert list(summary["seed"]) == ["0", "1", "mean ± std"]
    mean, std = frame["Acc"].mean(), frame["Acc"].std(ddof=1)
    assert summary["Acc"].iloc[-1] == f"{mean:.1f} ± {std:.1f}"

    again = zslbench.run("tf-vaegan", dataset="toy", seeds=[1, 0, 4], epochs=2, settings=TINY, threads=1)
    assert again.found == 2
    assert list(again.frame()["seed"]) == [1, 0, 4]
    assert capfd.readouterr() == ("", "")  # a library is quiet


def test_runs_go_where_they_are_told(tmp_path: Path) -> None:
    result = zslbench.run("eszsl", dataset="toy", select="last", threads=1, store=tmp_path / "mine")
    assert [one.info.id for one in Store(tmp_path / "mine").records()] == [result.records[0].info.id]
    assert not (tmp_path / "store").exists()
    kept = zslbench.run("eszsl", dataset="toy", select="last", threads=1, keep_weights=True)
    assert kept.records[0].networks()["gzsl/eszsl/W"].shape == (64, 20)
    assert "gzsl" in kept.records[0].table("networks")["tensor"].str.split("/").str[0].tolist()


def test_composed_by_hand() -> None:
    hand = zslbench.run(
        embedding="identity", classifier="eszsl", dataset="toy", select="last", threads=1,
        settings={"embedding.normalize": "l2"},
    )  # fmt: skip
    method = zslbench.run("eszsl", dataset="toy", select="last", threads=1)
    assert hand.records[0].metrics == method.records[0].metrics


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"method": "eszl", "dataset": "toy"}, "did you mean 'eszsl'"),
        ({"method": "eszsl", "dataset": "nowhere"}, "no dataset 'nowhere'"),
        ({"method": "eszsl", "dataset": "sun"}, "SUN"),
        ({"method": "eszsl", "dataset": "toy", "settings": {"classifier.gama": 1}}, "did you mean 'gamma'"),
        ({"method": "eszsl", "dataset": "toy", "settings": {"gamma": 1}}, "gamma"),
        ({"method": "eszsl", "dataset": "toy", "seeds": 0}, "seeds 0"),
        ({"method": "eszsl", "dataset": "toy", "seeds": [-1]}, "seeds"),
        ({"method": "eszsl", "dataset": "toy", "seeds": []}, "seeds"),
        ({"method": "eszsl", "dataset": "toy", "seeds": [2, 2]}, "different seeds"),
        ({"method": "eszsl", "dataset": "toy", "device": "tpu"}, "cuda"),
        ({"method": "eszsl", "dataset": "toy", "threads": 0}, "--threads 0"),
        ({"method": "eszsl", "dataset": "toy", "every": 0}, "every 0"),
        ({"method": "eszsl", "dataset": "toy", "epochs": 4}, "no schedule"),
        ({"dataset": "toy"}, "either a method or a composition"),
    ],
)
def test_what_is_wrong_is_a_zslbench_error(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(zslbench.ZslbenchError) as caught:
        zslbench.run(**arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(Path(os.environ["ZSLBENCH_STORE"]).glob("runs/*"))
