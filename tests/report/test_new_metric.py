"""A metric that is declared in the table is found wherever results are shown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from zslbench.cli.main import cli
from zslbench.evaluation.metrics import METRICS, Metric
from zslbench.store.store import Store


def worst(evaluation: Any) -> float:
    return float(min(evaluation.u, evaluation.s))


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A command's output, with one more metric in the table."""
    monkeypatch.setitem(METRICS, "worst", Metric("worst", "Worst", "GZSL", worst, headline=True))
    monkeypatch.setenv("COLUMNS", "400")

    def call(*arguments: str) -> str:
        result = CliRunner().invoke(cli, [*arguments, "--store", str(tmp_path / "store")])
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_new_metric_is_shown_everywhere(call: Callable[..., str], tmp_path: Path) -> None:
    run = ("run", "eszsl", "--dataset", "toy", "--seeds", "2", "--threads", "1")
    assert "Worst" in call(*run)
    found = rows(call(*run, "--format", "csv"))
    assert all(row["Worst"] == min(row["U"], row["S"], key=float) for row in found)
    assert "Worst" in call("runs")
    assert "Worst_mean" in rows(call("table", "--format", "csv"))[0]
    assert "Worst" in call("table", "--show", "published,difference")
    assert ("figures", "worst") in {
        (row["about"], row["name"]) for row in rows(call("show", found[0]["run"], "--format", "csv"))
    }
    compared = rows(call("compare", found[0]["run"], found[1]["run"], "--format", "csv"))
    assert ("figures", "Worst") in {(row["section"], row["name"]) for row in compared}
    suite = tmp_path / "small.toml"
    suite.write_text('datasets = ["toy"]\nseeds = 2\n\n[[methods]]\nmethod = "eszsl"\n', "utf-8")
    (bench, *_) = rows(call("bench", str(suite), "--threads", "1", "--format", "csv"))
    mean = sum(float(row["Worst"]) for row in found) / 2
    assert float(bench["toy_worst_mean"]) == pytest.approx(mean)
    page = tmp_path / "page.html"
    call("report", str(suite), "--output", str(page), "--without", "tsne")
    assert page.read_text("utf-8").count("Worst") > 1
    record = Store(tmp_path / "store").records()[0]
    assert isinstance(record.metrics["worst"], float)


def test_bench_and_report_show_the_metrics_that_are_asked_for(
    call: Callable[..., str], tmp_path: Path
) -> None:
    suite, page = tmp_path / "small.toml", tmp_path / "page.html"
    suite.write_text('datasets = ["toy"]\n\n[[methods]]\nmethod = "eszsl"\n', "utf-8")
    asked = ("--metrics", "ausuc,acc_micro")
    (run,) = rows(call("run", "eszsl", "--dataset", "toy", "--threads", "1", "--format", "csv"))
    (bench,) = rows(call("bench", str(suite), "--threads", "1", "--format", "csv", *asked))
    for name in ("AUSUC", "Acc_micro"):
        assert float(bench[f"toy_{name.lower()}_mean"]) == pytest.approx(float(run[name]))
    assert "toy_h_mean" not in bench
    call("report", str(suite), "--output", str(page), "--without", "tsne", *asked)
    assert "Acc_micro" in page.read_text("utf-8")
