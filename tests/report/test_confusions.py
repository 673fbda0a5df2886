"""Which classes a run confuses, from its stored predictions."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import zslbench
from zslbench.cli.main import cli
from zslbench.report.predictions import confusions_frame, most_confused

CLASSES = pd.DataFrame(
    {
        "class_id": [0, 1, 2, 3],
        "name": ["ant", "bee", "cow", "dog"],
        "side": ["seen", "seen", "unseen", "unseen"],
    }
)


class Stored:
    """A run with these predictions: (side, label, prediction, right)."""

    def __init__(self, *rows: tuple[str, int, int, bool], task: str = "gzsl") -> None:
        self._predictions = pd.DataFrame(
            rows, columns=["side", "label", f"{task}_prediction", f"{task}_correct"]
        )

    def table(self, name: str) -> pd.DataFrame:
        return {"classes": CLASSES, "predictions": self._predictions}[name]


def rows_of(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    named = frame[["task", "class", "predicted", "images", "share"]]
    return [tuple(None if pd.isna(one) else one for one in row) for row in named.itertuples(index=False)]


def test_matrix_by_hand() -> None:
    run: Any = Stored(
        ("seen", 0, 0, True), ("seen", 0, 1, False), ("seen", 0, 1, False), ("seen", 0, 3, False),
        ("unseen", 3, 3, True), ("unseen", 3, 3, False),  # the last is a tie that names its own class
    )  # fmt: skip
    found = confusions_frame(run)
    assert sorted(rows_of(found), key=str) == sorted(
        [
            ("GZSL", "ant", "ant", 1, 25.0),
            ("GZSL", "ant", "bee", 2, 50.0),
            ("GZSL", "ant", "dog", 1, 25.0),
            ("GZSL", "dog", "dog", 1, 50.0),
            ("GZSL", "dog", None, 1, 50.0),
        ],
        key=str,
    )
    assert set(found[found["class"] == "ant"]["side"]) == {"seen"}
    wrong = most_confused(found, 2)
    assert [row[1:3] for row in rows_of(wrong)] == [("ant", "bee"), ("dog", None)]


def test_images_that_czsl_does_not_score_are_left_out() -> None:
    run: Any = Stored(("seen", 0, -1, False), ("unseen", 2, 3, False), ("unseen", 2, 2, True), task="czsl")
    expected = [("CZSL", "cow", "cow", 1, 50.0), ("CZSL", "cow", "dog", 1, 50.0)]
    assert rows_of(confusions_frame(run)) == expected


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("store")
    zslbench.run("eszsl", dataset="toy", select="last", threads=1, store=where)
    return where


def call(store: Path, *arguments: str) -> str:
    result = CliRunner().invoke(cli, [*arguments, "--store", str(store)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_diagonal_is_the_accuracy_of_the_class(store: Path) -> None:
    (run,) = json.loads(call(store, "runs", "--format", "json"))
    matrix = pd.DataFrame(json.loads(call(store, "show", run["run"], "--confusions", "--format", "json")))
    classes = pd.DataFrame(json.loads(call(store, "show", run["run"], "--classes", "--format", "json")))
    accuracy = classes.set_index("name")["gzsl_accuracy"].dropna()
    gzsl = matrix[matrix["task"] == "GZSL"]
    diagonal = gzsl[gzsl["class"] == gzsl["predicted"]].set_index("class")["share"]
    assert (100 * accuracy[accuracy > 0]).to_dict() == pytest.approx(diagonal.to_dict())
    assert gzsl.groupby("class")["images"].sum().to_dict() == classes.set_index("name")["images"].to_dict()
    shown = call(store, "show", run["run"], "--confusions")
    assert "predicted" in shown
    curve = list(csv.DictReader(io.StringIO(call(store, "show", run["run"], "--curve", "--format", "csv"))))
    assert float(curve[0]["unseen"]) == float(curve[-1]["seen"]) == 0


def test_figures_on_request_are_in_no_table_unless_named(store: Path) -> None:
    named = ("--metrics", "acc_micro, Micro,h")
    (row,) = json.loads(call(store, "table", *named, "--format", "json"))
    shown = [name.removesuffix("_mean") for name in row if name.endswith("_mean")]
    assert shown == ["Acc_micro", "Micro", "H"]
    (record,) = zslbench.run("eszsl", dataset="toy", select="last", threads=1, store=store).records
    table = record.table("predictions")
    assert row["Micro_mean"] == pytest.approx(100 * table["gzsl_correct"].mean())
    unseen = table[table["side"] == "unseen"]
    assert row["Acc_micro_mean"] == pytest.approx(100 * unseen["czsl_correct"].mean())
    assert "Micro" not in call(store, "table")
    assert "Micro" in call(store, "table", *named)
    again = call(store, "run", "eszsl", "--dataset", "toy", "--select", "last", "--threads", "1")
    assert "AUSUC" in again
    assert "Micro" not in again
    wrong = CliRunner().invoke(cli, ["table", "--metrics", "acc_macro", "--store", str(store)])
    assert wrong.exit_code == 2
    assert "acc_micro" in wrong.stderr
