"""``zslbench runs``, ``show`` and ``table`` on a store that runs have filled."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zslbench.store.store import Store


@pytest.fixture(scope="module")
def store(filled: Any) -> Any:
    """Two seeds of ESZSL without selection, one with oracle, one with another ridge; one TF-VAEGAN."""
    for arguments in (("--seeds=2",), ("--seed=0", "--select=oracle"), ("--set=classifier.gamma=7.0",)):
        assert filled.eszsl(*arguments).exit_code == 0
    assert filled.quick().exit_code == 0
    return filled


def rows(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_runs_lists_what_there_is(store: Any) -> None:
    found = rows(store("runs", "--format=json"))
    assert [(row["method"], row["seed"], row["selection"]) for row in found] == [
        ("eszsl", 0, "last"), ("eszsl", 1, "last"), ("eszsl", 0, "oracle"), ("eszsl", 0, "last"),
        ("tf-vaegan", 0, "val"),
    ]  # fmt: skip
    assert {row["state"] for row in found} == {"finished"}
    assert all(0 <= row["H"] <= 100 for row in found)
    table = csv.DictReader(io.StringIO(store("runs", "--format=csv").stdout))
    assert [row["run"] for row in table] == [row["run"] for row in found]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (("--method=tf-vaegan",), 1), (("--select=last",), 3), (("--dataset=toy",), 5),
        (("--method=eszsl", "--select=oracle"), 1), (("--dataset=cub",), 0), (("--method=nobody",), 0),
    ],
)  # fmt: skip
def test_filters(store: Any, filters: tuple[str, ...], count: int) -> None:
    result = store("runs", *filters, "--format=json")
    assert len(rows(result)) == count
    assert ("no matching run" in result.stderr) == (count == 0)
    seeds = sum(row["seeds"] for row in rows(store("table", *filters, "--format=json")))
    assert seeds == count


def test_table_keeps_unlike_runs_apart(store: Any) -> None:
    found = rows(store("table", "--format=json"))
    assert [(row["method"], row["selection"], row["seeds"], row["differs in"]) for row in found] == [
        ("eszsl", "last", 2, "classifier.gamma=1.0"),
        ("eszsl", "last", 1, "classifier.gamma=7.0"),
        ("eszsl", "oracle", 1, ""),
        ("tf-vaegan", "val", 1, ""),
    ]
    assert found[1]["H_std"] is None  # one seed has no standard deviation
    assert found[0]["H_std"] == 0.0


@pytest.mark.parametrize("fmt", ["terminal", "markdown", "latex", "html", "csv", "json"])
def test_table_in_every_format(store: Any, fmt: str) -> None:
    result = store("table", f"--format={fmt}")
    assert result.exit_code == 0
    # For readers the notes are part of the table; for programs they are beside it.
    shown = result.stderr if fmt in ("csv", "json") else result.stdout
    assert "oracle: " in shown
    assert "note:" not in result.stdout
    text = result.stdout
    if fmt == "json":
        assert len(json.loads(text)) == 4
    elif fmt == "csv":
        assert len({len(row) for row in csv.reader(io.StringIO(text))}) == 1
    elif fmt == "latex":
        assert text.count(r"\begin{") == text.count(r"\end{") == 3
        assert r"\multicolumn{3}{c}{GZSL}" in text
        assert "oracle$^\\dagger$" in text
    elif fmt == "html":
        assert '<th scope="colgroup" colspan="3">GZSL</th>' in text
        assert "oracle†" in text
    else:
        assert re.search(r"eszsl.* last .*\d\d\.\d ± 0\.0", text)
        assert "oracle†" in text
    assert "\x1b" not in text


def test_show_tells_one_run_in_full(store: Any) -> None:
    run = rows(store("runs", "--format=json"))[-1]["run"]
    found = {
        (row["about"], row["name"]): row["value"] for row in rows(store("show", run[:6], "--format=json"))
    }
    assert found["run", "id"] == run
    assert found["settings", "generator.hidden"] == "8"
    assert found["settings", "preset"] == "toy"
    assert re.fullmatch(r"\d+\.\d\d %", found["figures", "h"])
    assert re.match("[0-9a-f]{64}", found["data", "sha256 of features"])
    assert "torch" in found["environment", "packages"]
    text = store("show", run).stdout
    assert all(word in text for word in (run, "generator.hidden", "split_fingerprint"))

    classes = rows(store("show", run, "--classes", "--format=json"))
    assert len(classes) == 20
    assert {row["side"] for row in classes} == {"seen", "unseen"}
    unseen = [row["gzsl_accuracy"] for row in classes if row["side"] == "unseen"]
    assert f"{100 * sum(unseen) / len(unseen):.2f} %" == found["figures", "u"]
    epochs = rows(store("show", run, "--epochs", "--format=json"))
    assert {"validation/generator", "final/generator", "final/gzsl"} <= {row["stage"] for row in epochs}


def test_show_of_a_closed_form_has_no_epochs(store: Any) -> None:
    run = rows(store("runs", "--format=json"))[0]["run"]
    result = store("show", run, "--epochs", "--format=json")
    assert rows(result) == []
    assert "closed-form" in result.stderr


def test_show_wants_one_run(store: Any, one_line: Callable[..., str]) -> None:
    names = [row["run"] for row in rows(store("runs", "--format=json"))]
    letter = max("0123456789abcdef", key=lambda one: sum(name.startswith(one) for name in names))
    fits = [name for name in names if name.startswith(letter)]
    if len(fits) == 1:  # ids depend on versions and machine: make two that begin alike
        shutil.copytree(store.store / "runs" / fits[0], store.store / "runs" / f"{letter}{'0' * 15}")
    line = one_line(store("show", letter))
    assert "ambiguous" in line
    assert all(name in line for name in fits)
    shutil.rmtree(store.store / "runs" / f"{letter}{'0' * 15}", ignore_errors=True)
    assert f"no run '{names[0][:-1]}_'" in one_line(store("show", f"{names[0][:-1]}_"))
    assert "no run ''" in one_line(store("show", ""))


@pytest.mark.parametrize("command", ["runs", "table"])
@pytest.mark.parametrize("fmt", ["terminal", "markdown", "latex", "csv", "json"])
def test_an_empty_store(zslbench: Any, command: str, fmt: str) -> None:
    result = zslbench(command, f"--format={fmt}")
    assert result.exit_code == 0
    assert "zslbench run METHOD --dataset NAME" in result.stderr
    assert result.stdout.strip() == ("[]" if fmt == "json" else result.stdout.strip())
    assert "zslbench" not in result.stdout
    assert not zslbench.store.exists()  # looking makes nothing


def test_damage_is_told_and_hurts_no_other_run(
    zslbench: Any, one_line: Callable[..., str], tmp_path: Path
) -> None:
    assert zslbench.eszsl("--seeds=3").exit_code == 0
    first, second, third = (row["run"] for row in rows(zslbench("runs", "--format=json")))
    folders = {run: Store(zslbench.store).resolve(run).folder for run in (first, second, third)}
    text = (folders[first] / "run.json").read_text("utf-8")
    (folders[first] / "run.json").write_text(text.replace('"acc": 0.', '"acc": 1.'), "utf-8")
    (folders[second] / "classes.parquet").write_bytes(b"PAR1")
    (zslbench.store / "runs" / "strange").mkdir()
    (zslbench.store / "runs" / "file").touch()

    assert [row["run"] for row in rows(zslbench("runs", "--format=json"))] == [second, third]
    assert rows(zslbench("table", "--format=json"))[0]["seeds"] == 2
    assert "damaged" in one_line(zslbench("show", first))
    assert "damaged" in one_line(zslbench("show", second, "--classes"))
    shown = zslbench("show", second)
    assert shown.exit_code == 0
    assert "classes.parquet" in shown.stderr
    # The command that made it makes it again, and what stood there is kept aside.
    assert [row["seed"] for row in rows(zslbench.eszsl("--seeds=3", "--format=json"))] == [0, 1, 2]
    assert len(rows(zslbench("runs", "--format=json"))) == 3
    assert list((zslbench.store / "damaged").iterdir())


def test_store_option_and_variable(zslbench: Any, tmp_path: Path) -> None:
    assert zslbench.eszsl(f"--store={tmp_path / 'other'}").exit_code == 0
    assert rows(zslbench("runs", "--format=json")) == []
    assert len(rows(zslbench("runs", "--format=json", f"--store={tmp_path / 'other'}"))) == 1
