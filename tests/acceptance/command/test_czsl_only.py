"""A data set without test_seen images does CZSL: GZSL is empty in every output, and that is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from folders import contents, write_folder

from zslbench.store.store import Store

GZSL = ("U", "S", "H")
FIXED = "--set=classifier.gamma=1"
"""Leaves fewer candidates to search."""
SOFTMAX = ("--embedding=identity", "--generator=tf-vaegan", "--classifier=softmax", "--epochs=2",
           "--set=generator.hidden=8", "--set=generator.per_class=4", "--set=classifier.epochs=2",
           "--set=embedding.normalize=minmax")  # fmt: skip
"""A classifier that learns from examples, by which a schedule is selected."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_folder(tmp_path, contents() | {"test_seen_loc": None})
    return tmp_path


def empty(row: dict[str, Any], *names: str) -> bool:
    return all(row[name] is None for name in names)


@pytest.mark.slow
def test_every_output_has_acc_and_no_gzsl(zslbench: Any, root: Path) -> None:
    where = ("--dataset=small", f"--data-root={root}", "--threads=1")
    ids = []
    for options in (("eszsl", FIXED), ("eszsl", FIXED, "--select=last"), SOFTMAX):
        result = zslbench("run", *options, *where, "--format=json")
        assert result.exit_code == 0, result.stderr
        assert "only CZSL" in result.stderr
        (row,) = json.loads(result.stdout)
        assert 0 <= row["Acc"] <= 100 and empty(row, *GZSL, "AUSUC", "H_cal")
        ids.append(row["run"])
    for ident in ids:
        record = Store(zslbench.store).resolve(ident)
        assert any("only CZSL" in note for note in record.notes)
        assert record.metrics["acc"] is not None
        assert all(record.metrics[key] is None for key in ("u", "s", "h", "ausuc"))
        assert len(record.table("curve")) == 0
        shown = json.loads(zslbench("show", ident, "--format=json").stdout)
        over = [row["name"] for row in shown if row["about"] == "95 % over classes"]
        assert over == ["Acc"]
        assert zslbench("show", ident, "--classes").exit_code == 0
    validated = Store(zslbench.store).resolve(ids[0])
    assert validated.metrics["val_acc"] is not None and "val_h" not in validated.metrics
    # A schedule is selected by Acc, at its end too.
    trained = Store(zslbench.store).resolve(ids[2])
    epochs = trained.table("epochs")
    rows = epochs[epochs["stage"] == "validation/generator"]
    assert rows["val_acc"].notna().tolist() == [True, True]
    best = rows.loc[rows["val_acc"].idxmax()]
    assert trained.metrics["epochs"] == best["epoch"]
    listed = json.loads(zslbench("runs", "--format=json").stdout)
    assert len(listed) == 3 and all(empty(row, *GZSL) for row in listed)
    for row in json.loads(zslbench("table", "--format=json").stdout):
        assert row["Acc_mean"] is not None
        assert empty(row, *(f"{name}_{part}" for name in GZSL for part in ("mean", "low", "rank")))
    for fmt in ("terminal", "latex", "csv"):
        for command in (["table"], ["runs"], ["compare", ids[0], ids[1]]):
            result = zslbench(*command, f"--format={fmt}")
            assert result.exit_code == 0, result.stderr
            assert "nan" not in result.stdout.lower()
    compared = json.loads(zslbench("compare", ids[0], ids[1], "--format=json").stdout)
    assert {row["name"] for row in compared if row["section"] == "figures"} == {
        "Acc",
        "Acc_micro",
        "Acc_top5",
    }
    page = root / "report.html"
    assert zslbench("report", "-o", str(page)).exit_code == 0
    assert "only CZSL" in page.read_text("utf-8")


@pytest.mark.slow
def test_an_ablation_and_a_suite(zslbench: Any, root: Path) -> None:
    where = (f"--data-root={root}", "--threads=1")
    tiny = ("--set=generator.hidden=8", "--set=generator.per_class=4", "--set=classifier.epochs=1")
    result = zslbench(
        "ablate", "tf-vaegan", "--dataset=small", "--epochs=1", "--variants=no-feedback", *tiny, *where,
        "--set=embedding.normalize=minmax", "--format=json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    for row in json.loads(result.stdout):
        assert row["state"] == "ok" and row["Acc_mean"] is not None
        assert empty(row, *(f"{name}_mean" for name in GZSL), "H_diff_mean")
    suite = root / "mine.toml"
    suite.write_text(
        'datasets = "small"\nselect = ["last", "oracle"]\n[[methods]]\nmethod = "eszsl"\n', "utf-8"
    )
    result = zslbench("bench", str(suite), *where, "--format=json")
    assert result.exit_code == 0, result.stderr
    rows = [row for row in json.loads(result.stdout) if row["row"] != "published"]
    assert rows
    for row in rows:
        assert row["small_acc_mean"] is not None and empty(row, *(f"small_{key}_mean" for key in "ush"))


@pytest.mark.parametrize("part", ["missing", "empty"])
def test_data_commands_tell(zslbench: Any, root: Path, part: str) -> None:
    write_folder(root, contents() | {"test_seen_loc": None if part == "missing" else np.zeros((0, 1))})
    checked = json.loads(zslbench("data", "check", "small", f"--data-root={root}", "--format=json").stdout)
    assert [one["severity"] for one in checked if "only CZSL" in one["what"]] == ["warning"]
    assert not [one for one in checked if one["severity"] == "error"]
    about = json.loads(zslbench("data", "info", "small", f"--data-root={root}", "--format=json").stdout)
    assert about["test_seen"] == 0 and "only CZSL" in about["evaluation"][0]


def test_a_class_without_test_images(zslbench: Any, tmp_path: Path) -> None:
    """An unseen class that lists name, and a seen one, lose their test images; the others are scored."""
    variables = contents()
    variables["test_unseen_loc"] = variables["test_unseen_loc"][:10]  # of gnu, not of hen
    variables["test_seen_loc"] = variables["test_seen_loc"][2:]  # not of ant
    images = variables["labels"][:, 0] != 8
    variables |= {"labels": variables["labels"][images], "features": variables["features"][:, images]}
    folder = write_folder(tmp_path, variables)
    (folder / "testclasses.txt").write_text("gnu\nhen\n", "utf-8")
    result = zslbench(
        "run", "eszsl", "--dataset=small", f"--data-root={tmp_path}", "--threads=1", "--format=json"
    )
    assert result.exit_code == 0, result.stderr
    assert "(hen)" in result.stderr
    (row,) = json.loads(result.stdout)
    table = Store(zslbench.store).resolve(row["run"]).table("classes").set_index("name")
    assert "hen" not in table.index and pd.isna(table.loc["ant", "gzsl_accuracy"])
    seen = table[table["side"] == "seen"]["gzsl_accuracy"].dropna()
    assert len(seen) == 5
    assert row["S"] == pytest.approx(100 * seen.mean())
    assert row["Acc"] == 100  # gnu is the only candidate
