"""Scores and predictions made elsewhere: the figures of a run, whatever order and format they come in."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import zslbench
from zslbench.cli.main import cli
from zslbench.errors import DataError, MissingData, SettingsError, ZslbenchError
from zslbench.evaluation import METRICS, evaluate_scores
from zslbench.plugin import Dataset, OfficialSplit, registry
from zslbench.report import predictions_frame
from zslbench.store import RunRecord
from zslbench_external.alignment import Target
from zslbench_external.submitted import from_arrays

UNCALIBRATED = [key for key, one in METRICS.items() if one.group != "calibrated"]


@dataclass(frozen=True)
class Own:
    """A run of our own on toy, and the scores that it is made of."""

    record: RunRecord
    store: Path
    rows: np.ndarray
    """Of the data set: test_seen, then test_unseen."""
    labels: np.ndarray
    names: np.ndarray
    gzsl: np.ndarray
    czsl: np.ndarray
    seen: int
    """How many of the images are of seen classes."""

    @property
    def figures(self) -> dict[str, Any]:
        return {key: self.record.metrics[key] for key in UNCALIBRATED}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Own:
    store = tmp_path_factory.mktemp("own")
    options: dict[str, Any] = {"select": "last", "threads": 1, "keep_weights": True, "store": store}
    (record,) = zslbench.run("eszsl", dataset="toy", **options).records
    run = zslbench.load(record.info.id, store=store)
    split = run.dataset.split
    rows = np.concatenate([split.test_seen, split.test_unseen])
    gzsl, czsl = (
        run.scores(run.inputs(torch.from_numpy(of)), task, of).numpy()  # type: ignore[arg-type]
        for task, of in (("gzsl", rows), ("czsl", split.test_unseen))
    )
    names = np.array(run.dataset.class_names)
    return Own(record, store, rows, run.dataset.labels[rows], names, gzsl, czsl, len(split.test_seen))


Evaluate = Callable[..., RunRecord]


@pytest.fixture
def evaluate(tmp_path: Path) -> Evaluate:
    """Evaluate on toy, in a store of the test's own."""

    def evaluate(scores: Any, **options: Any) -> RunRecord:
        given = {"dataset": "toy", "name": "theirs", "store": tmp_path / "store"} | options
        (record,) = zslbench.evaluate(scores, **given).records
        assert isinstance(record, RunRecord)
        return record

    return evaluate


# --- figures -------------------------------------------------------------------------------------


def test_scores_of_a_run_give_its_figures_and_tables(own: Own, evaluate: Evaluate) -> None:
    record = evaluate({"gzsl": own.gzsl, "czsl": own.czsl})
    assert {key: record.metrics[key] for key in UNCALIBRATED} == own.figures
    assert record.info.selection == "external"
    for name in ("curve", "classes", "predictions"):
        pd.testing.assert_frame_equal(record.table(name), own.record.table(name))


def test_order_of_images_and_classes_does_not_matter_if_they_are_named(own: Own, evaluate: Evaluate) -> None:
    random = np.random.default_rng(0)
    rows, columns = random.permutation(len(own.rows)), random.permutation(len(own.names))
    given = {
        "scores": own.gzsl[rows][:, columns],
        "classes": own.names[columns],
        "image_index": own.rows[rows],
        "labels": own.labels[rows],
    }
    first = evaluate(given)
    assert {key: first.metrics[key] for key in UNCALIBRATED} == own.figures
    again = evaluate(given | {"classes": columns, "labels": own.names[own.labels[rows]]})
    assert again.info.id == first.info.id, "the same scores are the same run"


def test_separate_czsl_follows_the_unseen_ones_of_images_and_classes(own: Own, evaluate: Evaluate) -> None:
    other = np.random.default_rng(1).random(own.czsl.shape)
    expected = evaluate({"gzsl": own.gzsl, "czsl": other}).metrics["acc"]
    rows, columns = np.arange(len(own.rows))[::-1], np.arange(len(own.names))[::-1]
    given = {"gzsl": own.gzsl[rows][:, columns], "classes": columns, "image_index": own.rows[rows]}
    both = evaluate(given | {"czsl": other[::-1, ::-1]}, name="reversed")
    assert both.metrics["acc"] == expected != own.record.metrics["acc"]
    apart = evaluate(given, czsl=other, name="apart")
    assert apart.metrics["acc"] == expected
    assert apart.metrics["h"] == both.metrics["h"]


def test_tasks(own: Own, evaluate: Evaluate) -> None:
    czsl = evaluate(own.czsl, name="czsl")  # of the unseen classes only, so it is CZSL
    assert czsl.metrics["acc"] == own.record.metrics["acc"]
    assert czsl.metrics["h"] is None
    gzsl = evaluate(own.gzsl, name="gzsl", task="gzsl")
    assert gzsl.metrics["acc"] is None
    assert gzsl.metrics["ausuc"] == own.record.metrics["ausuc"]
    with pytest.raises(SettingsError, match="gzsl"):
        evaluate(own.czsl, task="gzsl")


def test_predictions_give_figures_but_no_curve(own: Own, evaluate: Evaluate) -> None:
    table = own.record.table("predictions")
    predicted = own.names[table["gzsl_prediction"]]
    record = evaluate({"gzsl": predicted, "image_index": own.rows})
    without = {key for key in UNCALIBRATED if METRICS[key].group == "GZSL" and not METRICS[key].needs_scores}
    assert without == {"u", "s", "h", "micro"}
    assert {key: record.metrics[key] for key in without} == {key: own.figures[key] for key in without}
    assert record.metrics["acc"] is None, "classes that were never scored against unseen ones alone"
    assert all(record.metrics.get(key) is None for key in ("ausuc", "u_top5", "s_top5"))
    assert record.table("curve").empty
    assert "gzsl_margin" not in record.table("predictions")


REAL = {"CUB": (56.1, 45.1, 55.5, 49.8), "AWA1": (65.6, 53.6, 67.0, 59.6)}
"""CZSL, U, S and H of published scores, as printed beside them."""


@pytest.mark.parametrize("name", REAL)
def test_published_scores_give_the_printed_figures(
    name: str, real_data: Path, evaluate: Evaluate, tmp_path: Path
) -> None:
    """Only labels and split of these data sets are here: no features are needed."""
    file = real_data / "gzsl_predictions" / f"{name}_fclswgan.npz"
    options = {"dataset": name.lower(), "data_root": real_data / "xlsa17"}
    record = evaluate(file, **options)
    found = [100 * float(record.metrics[key] or 0) for key in ("acc", "u", "s", "h")]
    assert found == pytest.approx(REAL[name], abs=0.05)
    printed = json.loads((real_data / "checks.json").read_text())[f"{name}_fclswgan.npz"]["AUSUC"]
    assert record.metrics["ausuc"] == pytest.approx(printed, abs=1e-3)
    # The images by the names of their files, in another order.
    shown = predictions_frame(record, registry(), real_data / "xlsa17").sample(frac=1, random_state=0)
    back = pd.DataFrame({"file": shown["file"], "prediction": shown["gzsl_prediction"]})
    back.to_csv(tmp_path / "back.csv", index=False)
    again = evaluate(tmp_path / "back.csv", **options, name="back")
    assert again.metrics["h"] == record.metrics["h"]


# --- files ---------------------------------------------------------------------------------------


def call(*arguments: object) -> Any:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


def test_exported_predictions_give_the_run_s_own_figures(own: Own, tmp_path: Path) -> None:
    shown = call("show", own.record.info.id, "--predictions", "--format", "csv", "--store", own.store)
    file = tmp_path / "predictions.csv"
    lines = shown.stdout.splitlines()
    file.write_text("\n".join([lines[0], *reversed(lines[1:])]), "utf-8")
    options = ("--dataset", "toy", "--name", "back", "--store", own.store, "--format", "json")
    found = call("evaluate", file, *options)
    assert found.exit_code == 0, found.output
    (row,) = json.loads(found.stdout)
    for key in ("acc", "u", "s", "h", "micro", "acc_micro"):
        assert row[METRICS[key].name] == pytest.approx(100 * own.figures[key])
    assert row["AUSUC"] is None
    assert row["selection"] == "external"
    again = call("evaluate", file, *options)
    assert json.loads(again.stdout)[0]["run"] == row["run"]
    assert "found in the store: 1 of 1" in again.stderr


def test_ties_in_exported_predictions_stay_wrong(own: Own, evaluate: Evaluate, tmp_path: Path) -> None:
    scores = np.zeros_like(own.gzsl)
    scores[np.arange(len(scores)), own.labels] = 1
    tied = own.labels == own.labels[0]
    scores[tied] = 0
    scores[tied, own.labels[0]] = 1
    scores[tied, (own.labels[0] + 1) % len(own.names)] = 1
    record = evaluate(scores, name="tied")
    shown = call("show", record.info.id, "--predictions", "--format", "csv", "--store", tmp_path / "store")
    (tmp_path / "predictions.csv").write_text(shown.stdout, "utf-8")
    back = evaluate(tmp_path / "predictions.csv", name="back")
    assert [back.metrics[key] for key in ("u", "s", "h", "acc")] == [
        record.metrics[key] for key in ("u", "s", "h", "acc")
    ]
    assert back.metrics["s"] < 1  # type: ignore[operator]


def write_csv(path: Path, own: Own, **change: Any) -> Path:
    table = pd.DataFrame(own.gzsl, columns=own.names)
    table.insert(0, "image", own.rows)
    table.assign(**change).to_csv(path, index=False)
    return path


def test_csv_and_npz_of_the_same_scores_are_the_same_run(
    own: Own, evaluate: Evaluate, tmp_path: Path
) -> None:
    first = evaluate(write_csv(tmp_path / "scores.csv", own))
    for key in UNCALIBRATED:
        assert first.metrics[key] == pytest.approx(own.figures[key])
    with (tmp_path / "scores.csv").open(newline="") as file:
        read = [[float(row[name]) for name in own.names] for row in csv.DictReader(file)]
    np.savez(tmp_path / "scores.npz", scores=np.array(read), image_index=own.rows)
    assert evaluate(tmp_path / "scores.npz").info.id == first.info.id


def test_files_are_known_by_the_last_parts_of_their_paths() -> None:
    """Archives store them with the folders of the machine where they were made."""
    files = ("/there/a/one.jpg", "/there/b/one.jpg", "/there/b/two.jpg")
    split = OfficialSplit(*(np.array([row]) for row in range(3)))
    labels, semantics = np.array([0, 0, 1]), np.eye(2, dtype=np.float32)
    data = Dataset(
        "d", np.zeros((3, 1), np.float32), labels, ("x", "y"), semantics, split, "f", "att", image_files=files
    )

    def aligned(*names: str) -> list[list[float]]:
        given = {"scores": np.array([[1.0, 2.0], [3.0, 4.0]]), "image_files": np.array(names)}
        found: list[list[float]] = Target(data).align(from_arrays(given, "here")).scores["gzsl"].tolist()
        return found

    assert aligned("b/two.jpg", "b/one.jpg") == [[3.0, 4.0], [1.0, 2.0]]
    assert aligned("/there/b/one.jpg", "/there/b/two.jpg") == [[1.0, 2.0], [3.0, 4.0]]
    for names in (("two.jpg", "one.jpg"), ("b/two.jpg", "b/three.jpg")):  # unclear, unknown
        with pytest.raises(DataError, match=names[1]):
            aligned(*names)


def test_without_test_seen_images_only_czsl_is_evaluated() -> None:
    none = np.zeros(0, dtype=np.int64)
    split = OfficialSplit(np.array([0]), none, np.array([1, 2]))
    labels, semantics = np.array([0, 1, 2]), np.eye(3, dtype=np.float32)
    data = Dataset("d", np.zeros((3, 1), np.float32), labels, ("x", "y", "z"), semantics, split, "f", "att")
    scores = np.array([[9.0, 1.0, 2.0], [9.0, 3.0, 4.0]])
    found = Target(data).align(from_arrays({"scores": scores}, "here"))
    assert {task: one.tolist() for task, one in found.scores.items()} == {"czsl": [[1.0, 2.0], [3.0, 4.0]]}
    with pytest.raises(DataError, match="CZSL"):
        Target(data).align(from_arrays({"gzsl": np.array(["y", "z"])}, "here"))


# --- the store -----------------------------------------------------------------------------------


def test_seeds_share_a_row_that_is_not_ranked(own: Own, tmp_path: Path) -> None:
    files = []
    for seed in range(2):
        noise = np.random.default_rng(seed).normal(0, 0.05, own.gzsl.shape)
        files.append(tmp_path / f"{seed}.npz")
        np.savez(files[-1], scores=own.gzsl + noise)
    options = ("--dataset", "toy", "--name", "theirs", "--store", tmp_path / "store")
    shown = call("evaluate", *files, *options)
    assert shown.exit_code == 0, shown.output
    assert "mean ± std" in shown.stdout
    table = call("table", "--store", tmp_path / "store", "--format", "json")
    (row,) = json.loads(table.stdout)
    assert (row["seeds"], row["selection"], row["H_rank"]) == (2, "external", None)
    assert "external" in table.stderr
    assert call("table", "--store", tmp_path / "store", "--select", "external").stdout.count("theirs") == 1
    page = tmp_path / "page.html"
    made = call("report", "--dataset", "toy", "--store", tmp_path / "store", "-o", page, "--without", "tsne")
    assert made.exit_code == 0, made.output
    assert "theirs (external)" in page.read_text("utf-8")
    assert "note" not in made.stderr
    other = call("evaluate", files[0], *options, "--seed", "1")
    assert other.exit_code == 2
    assert "seed 1" in other.stderr


def test_another_version_of_the_code_finds_the_run_if_its_figures_agree(
    own: Own, evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate(own.gzsl)
    monkeypatch.setattr("zslbench_external.runs.core_version", lambda: "another")
    assert evaluate(own.gzsl).info.id == first.info.id
    with pytest.raises(SettingsError, match="other scores"):
        evaluate(own.gzsl[:, ::-1])
    monkeypatch.setattr(  # a version with other figures
        "zslbench_external.runs.evaluate_scores",
        lambda dataset, scores: evaluate_scores(dataset, {task: -one for task, one in scores.items()}),
    )
    with pytest.raises(SettingsError, match=f"H .*runs rm {first.info.id}"):
        evaluate(own.gzsl)
    assert len(list((tmp_path / "store" / "runs").iterdir())) == 1


def test_seeds_with_the_same_scores_are_pointed_out(own: Own, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, own.gzsl.shape)
    notes: list[str] = []

    def notes_of(*scores: Any, **options: Any) -> list[str]:
        notes.clear()
        given = {"dataset": "toy", "name": "theirs", "store": tmp_path / "store", "notify": notes.append}
        zslbench.evaluate(list(scores), **given, **options)
        return [text for text in notes if "independent" in text]

    assert notes_of(own.gzsl, own.gzsl + noise) == []
    (text,) = notes_of(own.gzsl, own.gzsl, seeds=[5, 6])
    assert "0 and 5 and 6" in text
    (text,) = notes_of(own.gzsl + noise, seeds=7)
    assert "1 and 7" in text


def test_an_external_run_has_no_networks(own: Own, evaluate: Evaluate, tmp_path: Path) -> None:
    record = evaluate(own.gzsl)
    with pytest.raises(ZslbenchError, match="external"):
        zslbench.load(record.info.id, store=tmp_path / "store")
    shown = call("show", record.info.id, "--store", tmp_path / "store", "--format", "csv")
    details = {(row["about"], row["name"]): row["value"] for row in csv.DictReader(shown.stdout.splitlines())}
    assert details["selection", "mode"] == "external"
    assert len(details["external", "gzsl.sha256"]) == 64
    (mine,) = zslbench.run("eszsl", dataset="toy", select="last", threads=1, store=tmp_path / "store").records
    compared = zslbench.compare(mine, record)
    assert not compared.refusals
    assert compared.figures.set_index("name").loc["H", "difference"] == 0


# --- mistakes ------------------------------------------------------------------------------------


def faults(own: Own) -> dict[str, tuple[dict[str, Any], str]]:
    """What is wrong, the arrays, and a fact that the message states."""
    n, classes = own.gzsl.shape
    nan, infinite = own.gzsl.copy(), own.gzsl.copy()
    nan[3, 2], infinite[0, 1] = np.nan, -np.inf
    twice = own.rows.copy()
    twice[1] = twice[0]
    trained = np.setdiff1d(np.arange(own.rows.max()), own.rows)
    elsewhere = own.rows.copy()
    elsewhere[:4] = trained[:4]
    misnamed = own.names.copy()
    misnamed[5] += "x"
    doubled = own.names.copy()
    doubled[5] = doubled[6]
    shifted = own.labels.copy()
    shifted[0] = (shifted[0] + 1) % classes
    seen_class = own.names[own.labels[0]]
    return {
        "rows": ({"gzsl": own.gzsl[:-1]}, str(n - 1)),
        "columns": ({"scores": own.gzsl[:, :-1]}, str(classes - 1)),
        "NaN": ({"gzsl": nan}, "1 of"),
        "infinite": ({"gzsl": infinite}, "1 of"),
        "axes": ({"gzsl": own.gzsl[None]}, "3 axes"),
        "text": ({"gzsl": own.gzsl.astype(str)}, "numbers"),
        "no scores": ({"labels": own.labels}, "scores"),
        "unknown key": ({"gzls": own.gzsl}, "gzsl"),
        "image twice": ({"gzsl": own.gzsl, "image_index": twice}, str(twice[0])),
        "image missing": ({"gzsl": own.gzsl[1:], "image_index": own.rows[1:]}, str(own.rows[0])),
        "training images": ({"gzsl": own.gzsl, "image_index": elsewhere}, "4 of"),
        "rows from 1": ({"gzsl": own.gzsl, "image_index": own.rows + 1}, "from 0"),
        "class misnamed": ({"gzsl": own.gzsl, "classes": misnamed}, own.names[5]),
        "class twice": ({"gzsl": own.gzsl, "classes": doubled}, own.names[5]),
        "class ids from 1": ({"gzsl": own.gzsl, "classes": np.arange(classes) + 1}, "from 0"),
        "true class": ({"gzsl": own.gzsl, "labels": shifted}, "1 of"),
        "split": ({"gzsl": own.gzsl, "unseen_classes": [seen_class]}, seen_class),
        "blank": ({"gzsl": np.where(own.labels == 0, "", own.names[own.labels])}, "no prediction"),
        "files": ({"gzsl": own.gzsl, "image_files": own.rows.astype(str)}, "image_index"),
        "seen class in CZSL": ({"czsl": np.full(n - own.seen, seen_class)}, seen_class),
        "czsl twice": ({"scores": own.czsl, "czsl": own.czsl}, "czsl"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [
        "rows", "columns", "NaN", "infinite", "axes", "text", "no scores", "unknown key", "image twice",
        "image missing", "training images", "rows from 1", "class misnamed", "class twice",
        "class ids from 1", "true class", "split", "blank", "files", "seen class in CZSL", "czsl twice",
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(fault: str, own: Own, evaluate: Evaluate, tmp_path: Path) -> None:
    given, fact = faults(own)[fault]
    with pytest.raises(DataError) as caught:
        evaluate(given)
    assert fact in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "store" / "runs").exists()


CSV_FAULTS = {
    "no images": ("a,b\n1,2\n", "file"),
    "words": ("image,a\n1,much\n", "much"),
    "names as rows": ("image,a\none.jpg,1\n", "one.jpg"),
    "column twice": ("image,a,a\n1,2,3\n", "a"),
    "beside predictions": ("image,prediction,a\n1,b,2\n", "'a'"),
    "no scores": ("image\n1\n", "scores"),
    "ragged": ("image,a\n1\n", "1 rows"),
    "empty": ("", "empty"),
    "a pickle": ("\x80\x04", ".npz"),
}


@pytest.mark.parametrize("fault", CSV_FAULTS)
def test_files_that_make_no_sense_are_refused(fault: str, evaluate: Evaluate, tmp_path: Path) -> None:
    text, fact = CSV_FAULTS[fault]
    (tmp_path / "scores.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError) as caught:
        evaluate(tmp_path / "scores.csv")
    assert fact in str(caught.value)


def test_arguments_that_make_no_sense_are_refused(own: Own, evaluate: Evaluate, tmp_path: Path) -> None:
    for wrong in ({"seeds": [0, 1]}, {"name": "two\nlines"}, {"name": " "}, {"task": "zsl"}, {"czsl": []}):
        with pytest.raises(SettingsError):
            evaluate(own.gzsl, **wrong)
    with pytest.raises(MissingData):
        evaluate(tmp_path / "nowhere.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04" + bytes(22) + b"\x05\x00\x00\x00a.npy" + bytes(40))
    with pytest.raises(DataError, match="npz"):
        evaluate(tmp_path / "broken.npz")
    np.savez(tmp_path / "objects.npz", scores=np.array([{}, {}], dtype=object))
    with pytest.raises(DataError, match="npz"):
        evaluate(tmp_path / "objects.npz")
