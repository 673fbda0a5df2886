"""Suites on several splits of one data set, and the commands that run them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from folders import contents, write_folder

import zslbench
from zslbench.cli.main import cli
from zslbench.errors import SettingsError, UnknownName
from zslbench.experiment import Suite, suite_outcome
from zslbench.experiment.suites.definition import restored
from zslbench.experiment.suites.lines import resolve_suite
from zslbench.experiment.suites.splits import with_splits
from zslbench.plugin.lookup import Registry
from zslbench.report import suite_table
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

SPLITS = ("small/split_1", "small/split_2", "small/split_10")
EACH = '[[methods]]\nmethod = "eszsl"\n'


@pytest.fixture
def root(known: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with three splits of one data set, which share their features, and another data set."""
    folder = tmp_path / "data"
    rows = np.arange(1, 81).reshape(8, 10)
    for number in (1, 2, 10):
        variables, mine = contents(), rows[np.random.default_rng(number).permutation(8)]
        classes = [mine[:4], mine[4:6], mine[6:]]
        variables |= {
            "trainval_loc": mine[:6, :8].reshape(-1, 1),
            "test_seen_loc": mine[:6, 8:].reshape(-1, 1),
            "test_unseen_loc": classes[2].reshape(-1, 1),
            "train_loc": classes[0][:, :8].reshape(-1, 1),
            "val_loc": classes[1][:, :8].reshape(-1, 1),
        }
        split = write_folder(folder / "SMALL", variables, f"split_{number}")
        (split / "res101.mat").replace(folder / "SMALL" / "res101.mat")
        (split / "res101.mat").symlink_to(Path("..") / "res101.mat")
    write_folder(folder, contents(), "WHOLE")
    (folder / "SMALL" / "images").mkdir()
    monkeypatch.setenv("ZSLBENCH_DATA", str(folder))
    return folder


def mean_of(records: Iterable[RunRecord], metric: str) -> float:
    return statistics.mean(float(one.metrics[metric] or 0) for one in records)


Command = Callable[..., Result]


@pytest.fixture
def command(root: Path) -> Command:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments, prog_name="zslbench")

    return run


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ('datasets = ["SMALL/*", "whole"]', "SMALL/*"),
        ('datasets = ["small", "whole"]\nsplits = true', "small"),
    ],
)
def test_each_split_is_a_data_set_of_the_suite(
    root: Path, known: Registry, suite: Any, head: str, row: str
) -> None:
    options = f'on."{row}".settings.classifier.gamma = 7.0\nseeds = 2\n'
    only = f'[[methods]]\nmethod = "sae"\ndatasets = ["{row}"]\n[methods.on."{row}"]\nepochs = 3\n'
    found = with_splits(suite(EACH + only, f"{head}\n{options}"), known)
    assert found.datasets == (*SPLITS, "whole")
    assert found.split_sets == {"small/*": SPLITS}
    assert {name: dict(one.settings) for name, one in found.on.items()} == {
        name: {"classifier.gamma": 7.0} for name in SPLITS
    }
    first, second = found.methods
    assert [first.runs_on("whole"), second.runs_on("whole"), second.runs_on(SPLITS[1])] == [True, False, True]
    assert {one.epochs for one in second.on.values()} == {3} and set(second.on) == set(SPLITS)
    assert any("images" in text for text in found.remarks)
    assert with_splits(found, known) == found
    again = restored(json.loads(json.dumps(found.dump())))
    assert (again.datasets, again.split_sets, again.remarks) == (
        found.datasets,
        found.split_sets,
        found.remarks,
    )


def test_a_part_of_the_splits(root: Path, known: Registry, suite: Any) -> None:
    mine = with_splits(suite(EACH, 'datasets = ["small", "whole"]\nsplits = true'), known)

    def narrowed(*names: str) -> Suite:
        return mine.narrowed(datasets=names)

    for all_of_them in ("small/*", "SMALL", "Small/Split_*"):
        assert narrowed(all_of_them).datasets == SPLITS
        assert narrowed(all_of_them).split_sets == {"small/*": SPLITS}
    # Some of them are not what the name of all means.
    assert narrowed("small/split_1*").datasets == (SPLITS[0], SPLITS[2])
    assert narrowed("small/split_10", "whole").datasets == (SPLITS[2], "whole")
    assert narrowed("small/split_10").split_sets == {}
    for unknown in ("small/x*", "small/split_3", "../*"):
        with pytest.raises(UnknownName):
            narrowed(unknown)


def test_two_names_of_one_split_are_refused(root: Path, known: Registry, suite: Any) -> None:
    for names in ('"small/*", "small/split_2"', '"small/*", "small/split_1*"'):
        with pytest.raises(SettingsError, match="split_"):
            with_splits(suite(EACH, f"datasets = [{names}]"), known)


def test_splits_that_are_not_here_are_no_data(root: Path, known: Registry, suite: Any) -> None:
    mine = suite(EACH, 'datasets = ["nowhere/*", "gone", "whole"]\nsplits = true')
    states = {cell.dataset: cell.status for cell in resolve_suite(mine, known).cells}
    assert states == {"nowhere/*": "no data", "gone": "no data", "whole": "to run"}


def test_a_suite_over_splits(root: Path, known: Registry, suite: Any) -> None:
    more = '[[methods]]\nmethod = "sae"\nseeds = 1\n'
    mine = suite(EACH + more, 'datasets = ["small"]\nsplits = true\nseeds = 2\nselect = "last"')
    found = zslbench.bench(mine, threads=1)
    assert len(found.records) == 3 * (2 + 1)
    assert {one.info.dataset for one in found.records} == set(SPLITS)
    table = suite_table(found)
    place = {column.key: at for at, column in enumerate(table.columns)}
    for label, row in zip(("eszsl", "sae"), table.rows, strict=True):
        of = [found.entries[label, split, "last"].records.values() for split in SPLITS]
        means = [100 * mean_of(records, "s") for records in of]
        assert row.cells[place["small/*_s_mean"]].value == pytest.approx(statistics.mean(means))
        assert row.cells[place["small/*_s_std"]].value == pytest.approx(statistics.stdev(means))
        assert row.cells[place["small/*_s_mean"]].mark == ""  # one seed is all that it should have
    stored = suite_outcome(mine, Store.default(), known)
    assert suite_table(stored).rows == table.rows


def test_run_and_table_of_all_splits(command: Command) -> None:
    options = ("--seeds=2", "--threads=1", "--select=last", "--format=json")
    done = command("run", "eszsl", "--dataset=SMALL/*", *options)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [(row["dataset"], row["seed"]) for row in rows] == [
        (one, seed) for one in SPLITS for seed in (0, 1)
    ]
    assert (
        command("run", "eszsl", "--dataset=small/split_2", *options).stderr.count("found in the store") == 1
    )
    shown = command("run", "eszsl", "--dataset=small/*", *options[:3])
    assert "small/*" in shown.stdout and "tests are over 3 splits" in shown.stdout
    assert "alike" not in shown.stdout
    for split in SPLITS:  # notes on a data set say whose they are
        assert done.stderr.count(f"{split}: train_loc") == 1
    (row,) = json.loads(command("table", "--dataset=small/*", "--format=json").stdout)
    means = [statistics.mean(one["S"] for one in rows if one["dataset"] == name) for name in SPLITS]
    assert (row["dataset"], row["splits"], row["seeds"]) == ("small/*", 3, 2)
    assert (row["S_mean"], row["S_std"]) == pytest.approx((statistics.mean(means), statistics.stdev(means)))
    assert len(json.loads(command("runs", "--dataset=small/*", "--format=json").stdout)) == 6


def test_splits_that_divide_the_images_alike_are_pointed_out(root: Path, command: Command) -> None:
    for split in SPLITS:
        source = root / "SMALL" / "split_1" / "att_splits.mat"
        (root / "SMALL" / Path(split).name / source.name).write_bytes(source.read_bytes())
    start = ("--dataset=small/*", "--threads=1", "--select=last")
    assert "divide the images alike" in command("run", "eszsl", *start).stdout
    assert "divide the images alike" in command("table", start[0]).stdout


def test_a_folder_of_splits_is_named_with_a_star(command: Command, tmp_path: Path) -> None:
    done = command("run", "eszsl", "--dataset=SMALL", "--threads=1")
    assert done.exit_code == 2 and "3 splits" in done.stderr and "--dataset 'small/*'" in done.stderr
    assert command("run", "eszsl", "--dataset=small/split_2", "--threads=1", "--select=last").exit_code == 0
    for start in (("table",), ("runs",), ("report", f"--output={tmp_path / 'page.html'}")):
        assert "--dataset 'small/*'" in command(*start, "--dataset=small").stderr
        assert "small/*" not in command(*start, "--dataset=whole").stderr
    (tmp_path / "data" / "SMALL" / "split_2" / "res101.mat").unlink()
    done = command("run", "eszsl", "--dataset=small/split_2", "--threads=1")
    assert "res101.mat" in done.stderr and "xlsa17" not in done.stderr


def test_a_report_on_some_splits(command: Command, tmp_path: Path) -> None:
    from zslbench_report.html.page import SECTIONS

    start = ("report", f"--output={tmp_path / 'page.html'}", *(f"--without={one.id}" for one in SECTIONS))
    assert command("run", "eszsl", "--dataset=small/split_10", "--threads=1", "--select=last").exit_code == 0
    assert command(*start, "--dataset=SMALL/split_1*").exit_code == 0
    assert command(*start, "--dataset=small/split_2*").exit_code == 1  # no such run


def test_names_that_mean_no_split_are_one_error(command: Command) -> None:
    for name in ("nowhere/*", "small/x*", "../*", "*", "whole/*"):
        for start in (("run", "eszsl"), ("ablate", "sae")):
            done = command(*start, f"--dataset={name}", "--threads=1")
            assert done.exit_code in (1, 2), name
            errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
            assert len(errors) == 1 and done.stdout == ""


def test_one_data_set_is_asked_for_where_several_make_no_sense(root: Path, known: Registry) -> None:
    from zslbench.data import find_dataset

    with pytest.raises(UnknownName, match="small/split_1"):
        find_dataset(known, "small/*")


def test_an_ablation_over_splits(root: Path, known: Registry) -> None:
    found = zslbench.ablate("sae", dataset="small/*", select="last", threads=1, seeds=2)
    assert found.columns == ("small/*",)
    frame = found.frame().set_index("variant")
    assert list(frame["splits"]) == [3, 3] and list(frame["seeds"]) == [2, 2]

    def means(variant: str) -> list[float]:
        of = (found.entries[variant, split, "last"].records.values() for split in SPLITS)
        return [100 * mean_of(records, "h") for records in of]

    less = [a - b for a, b in zip(means("features"), means("full"), strict=True)]
    assert frame.loc["features", "H_diff_mean"] == pytest.approx(statistics.mean(less))
    assert frame.loc["features", "H_diff_std"] == pytest.approx(statistics.stdev(less))
    assert any("3 splits" in text for text in found.notes())


def test_a_failing_split_leaves_the_others(root: Path, known: Registry, suite: Any) -> None:
    (root / "SMALL" / "split_2" / "res101.mat").unlink()
    mine = suite(EACH, 'datasets = ["small/*"]\nselect = "last"')
    found = zslbench.bench(mine, threads=1)
    entry = found.entry("eszsl", "small/*", "last")
    assert (entry.state, sorted(entry.records)) == ("partial", [(SPLITS[0], 0), (SPLITS[2], 0)])
    assert SPLITS[1] in entry.reason and "res101.mat" in entry.reason
    with pytest.raises(zslbench.errors.ZslbenchError, match="res101"):
        zslbench.run("eszsl", dataset="small/*", select="last", threads=1)
