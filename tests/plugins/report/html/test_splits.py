"""A report of runs on several splits has the column that ``zslbench table`` has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from page_reader import read

from zslbench.cli.main import cli
from zslbench.errors import SettingsError
from zslbench.report import comparison_frame, suite_table
from zslbench.store import Store
from zslbench_report.html.page import SECTIONS
from zslbench_report.html.report import outcome_of_runs

ACC = {(1, 0): 0.10, (1, 1): 0.30, (2, 0): 0.40, (2, 1): 0.60, (10, 0): 0.75, (10, 1): 0.85}
"""By split and seed. Means of the splits in percent: 20, 50, 80; of these 50, std 30."""


@pytest.fixture
def runs(record: Any) -> list[Any]:
    """Method ``m`` on three splits with two seeds, ``n`` with one."""

    def make(method: str, split: int, seed: int) -> Any:
        own = {"data/arrays/trainval": f"{split:064d}", "components/dataset": f"small/split_{split}"}
        return record(method, f"small/split_{split}", seed, acc=ACC[split, seed], identity=own)

    return [make("m", *one) for one in ACC] + [make("n", *one) for one in ACC if one[1] == 0]


def test_the_splits_share_a_column(runs: list[Any]) -> None:
    found = outcome_of_runs(runs, "t", ["small/*"])
    assert found.columns == ("small/*",)
    assert found.datasets == ("small/split_1", "small/split_2", "small/split_10")
    (frame, table) = comparison_frame(runs, split_sets=["small/*"]), suite_table(found)
    of = next(at for at, one in enumerate(table.columns) if one.key == "small/*_acc_mean")
    assert [row.cells[of].value for row in table.rows] == pytest.approx(list(frame["Acc_mean"]))
    assert [row.cells[of].spread for row in table.rows] == pytest.approx(list(frame["Acc_std"]))
    assert (table.rows[0].cells[of].value, table.rows[0].cells[of].spread) == pytest.approx((50, 30))
    assert "over splits" in table.title
    assert outcome_of_runs(runs, "t").columns == found.datasets  # unnamed, they are data sets
    with pytest.raises(SettingsError, match="split_1"):
        outcome_of_runs(runs, "t", ["small/*", "small/split_1*"])


def test_a_split_without_all_seeds_of_its_line_is_left_out(runs: list[Any]) -> None:
    found = outcome_of_runs(runs[:-4], "t", ["small/*"])  # m lacks (10, 1)
    entry = found.entry("m", "small/*", "val")
    assert entry.state == "partial" and {split for split, _ in entry.records} == {
        "small/split_1",
        "small/split_2",
    }


@pytest.fixture
def report(runs: list[Any], tmp_path: Path) -> Any:
    assert runs

    def call(*arguments: str) -> Result:
        start = ["report", "--store", str(tmp_path / "store"), "-o", str(tmp_path / "r.html")]
        omitted = [f"--without={one.id}" for one in SECTIONS if one.id not in ("results", "runs")]
        return CliRunner().invoke(cli, [*start, *omitted, *arguments])

    return call


def test_runs_by_condition(report: Any, tmp_path: Path) -> None:
    done = report("--dataset", "SMALL/*", "--filter", "seed=1", "--filter", "Acc>50")
    assert (done.exit_code, Store(tmp_path / "store").root.exists()) == (0, True), done.output
    page = read((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "small/*" in page.one("section", id="results").text.lower()
    assert len(page.one("section", id="runs").one("table").rows()) == 1 + 2
    assert page.one("h1").text == "Runs on SMALL/* with seed=1, Acc>50"
    code = page.one("footer").one("code").text
    assert "--filter seed=1 --filter 'Acc>50' --dataset 'SMALL/*'" in code
    assert report("--filter", "Acc>90").exit_code == 1
    assert report("--run", "1", "--filter", "Acc>90").exit_code == 2
    assert report("--filter", "nonsense").exit_code == 2
