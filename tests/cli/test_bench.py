"""``zslbench bench`` and ``zslbench suites`` from the command line."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hostile import NAMES, obeyed

from zslbench.cli import grid as shown
from zslbench.cli.progress import duration
from zslbench.experiment.suites.run import Bench, prepare as prepare_suite
from zslbench.report.console import Console
from zslbench.report.tables.render import FORMATS

HEAD = """
title = "Mine"
datasets = "toy"
seeds = 2
select = "last"
settings.dataset.images_per_class = 6
"""
LAB = '[[methods]]\nmethod = "lab"\n'
WEAK = LAB + 'variants = "weak"\n'
LAME = '[[methods]]\nmethod = "lame"\nvariants = "fails"\n'
ABSENT = '[[methods]]\nmethod = "absent"\n'
PLACE = "plugin 'lab', classifier 'lab-ridge', stage 'final/gzsl'"


@pytest.fixture
def mine(tmp_path: Path) -> Any:
    """The path of a suite with these rows."""

    def make(rows: str, head: str = HEAD) -> str:
        path = tmp_path / "mine.toml"
        path.write_text(f"{head}\n{rows}", "utf-8")
        return str(path)

    return make


@pytest.mark.parametrize("more", [("--dry-run",), ("--threads", "1")])
def test_what_no_line_has_is_told_before_anything_runs(lab: Any, mine: Any, more: tuple[str, ...]) -> None:
    result = lab("bench", mine(LAB + ABSENT, HEAD + "settings.classifier.rige = 2\n"), *more)
    assert result.exit_code == 0, result.stderr
    before, _, rest = result.stderr.partition("'classifier.rige', did you mean")
    assert rest and "run 1" not in before


def prepare(suite: str, **more: Any) -> Bench:
    from zslbench.plugin.discovery import registry

    return prepare_suite(suite, registry(), **more)


def test_the_finished_table_is_all_there_is_on_standard_output(lab: Any, mine: Any) -> None:
    result = lab("bench", mine(LAB + ABSENT), "--threads", "1", "--format", "csv")
    assert result.exit_code == 0, result.stderr
    rows = {row["line"]: row for row in csv.DictReader(io.StringIO(result.stdout))}
    assert (rows["lab"]["toy_state"], rows["absent"]["toy_state"]) == ("done", "no plugin")
    runs = json.loads(lab("runs", "--format", "json").stdout)
    mean = sum(float(row["Acc"]) for row in runs) / 2
    assert float(rows["lab"]["toy_acc_mean"]) == pytest.approx(mean)
    assert "4 cells: 2 to run, 2 no plugin" in result.stderr
    assert "run 1 of 2: lab on toy, last, seed 0" in result.stderr
    again = lab("bench", mine(LAB + ABSENT), "--threads", "1", "--format", "csv")
    assert again.stdout == result.stdout
    assert "run 1" not in again.stderr


def test_cells_that_fail_are_listed_at_the_end_with_an_exit_code(lab: Any, mine: Any) -> None:
    suite = mine(LAB + LAME)
    result = lab("bench", suite, "--threads", "1")
    assert result.exit_code == 1
    assert "Mine" in result.stdout
    lines = result.stderr.strip().splitlines()
    assert "2 of 4" in lines[-1] and "--retry-failed" in lines[-1]
    assert lines[-3:-1] == [
        f"failed: lame (fails) on toy, last, seed {seed}: {PLACE}: RuntimeError: it cannot be fitted"
        for seed in (0, 1)
    ]
    again = lab("bench", suite, "--threads", "1")
    assert (again.exit_code, "run 1 of" in again.stderr) == (1, False)
    assert again.stderr.strip().splitlines()[-1] == lines[-1]
    retried = lab("bench", suite, "--threads", "1", "--retry-failed")
    assert (retried.exit_code, "run 1 of 2: lame (fails)" in retried.stderr) == (1, True)
    # What is not asked for cannot fail.
    assert lab("bench", suite, "--threads", "1", "--method", "lab").exit_code == 0


def test_a_dry_run_tells_what_would_be_done(lab: Any, mine: Any, tmp_path: Path) -> None:
    suite = mine(LAB + WEAK + ABSENT, HEAD.replace('"toy"', '["toy", "gone"]'))
    plan = lab("bench", suite, "--dry-run", "--threads", "1")
    assert plan.exit_code == 0, plan.stderr
    assert not (tmp_path / "store").exists()
    rows = [line.split() for line in plan.stdout.splitlines()]
    assert ["lab", "toy", "last", "2", "to", "run", "unknown"] in rows
    assert ["absent", "toy", "last", "no", "plugin", "–"] in rows
    assert ["lab", "gone", "last", "no", "data", "–"] in rows
    assert "note: to compute: 4 of unknown cost" in plan.stderr
    assert "Get it from nowhere" in plan.stderr
    assert lab("bench", suite, "--threads", "1", "--seeds", "1", "--method", "lab").exit_code == 0
    cells = json.loads(lab("bench", suite, "--dry-run", "--threads", "1", "--format", "json").stdout)
    assert len(cells) == 3 * 2 * 2
    states = {(one["line"], one["dataset"], one["seed"]): one["state"] for one in cells}
    assert [states["lab", "toy", seed] for seed in (0, 1)] == ["found", "to run"]
    assert [states["lab (weak)", "toy", seed] for seed in (0, 1)] == ["found", "to run"]  # a line of lab
    costs = [one["seconds"] for one in cells if one["line"] == "lab" and one["dataset"] == "toy"]
    assert costs[0] is None  # nothing is left to compute
    assert costs[1] > 0


def test_cells_in_another_precision_are_cells_of_their_own(lab: Any, mine: Any) -> None:
    suite = mine(LAB)

    def states(*options: str) -> list[str]:
        plan = lab("bench", suite, "--dry-run", "--threads", "1", "--format", "json", *options)
        assert plan.exit_code == 0, plan.stderr
        return [one["state"] for one in json.loads(plan.stdout)]

    assert lab("bench", suite, "--threads", "1", "--format", "csv").exit_code == 0
    assert (states(), states("--precision", "bf16")) == (["found"] * 2, ["to run"] * 2)
    coarse = lab("bench", suite, "--threads", "1", "--precision", "bf16", "--format", "csv")
    assert coarse.exit_code == 0, coarse.stderr
    assert next(csv.DictReader(io.StringIO(coarse.stdout)))["toy_state"] == "done"
    # Neither has taken the other's place.
    assert (states(), states("--precision", "bf16")) == (["found"] * 2, ["found"] * 2)
    runs = json.loads(lab("runs", "--format", "json").stdout)
    assert len(runs) == 4


def test_a_precision_or_graphs_that_the_device_does_not_have(lab: Any, mine: Any) -> None:
    for option, expected in ((("--precision", "tf32"), "needs a GPU"), (("--graphs", "on"), "need a GPU")):
        wrong = lab("bench", mine(LAB), "--device", "cpu", *option)
        assert (wrong.exit_code, wrong.stdout) == (1, "")
        assert expected in wrong.stderr


def test_filters_narrow_the_suite(lab: Any, mine: Any) -> None:
    suite = mine(LAB + WEAK, HEAD.replace('"last"', '["val", "oracle"]'))
    options = ("--method", "lab (weak)", "--select", "oracle", "--seeds", "1", "--format", "json")
    cells = json.loads(lab("bench", suite, "--dry-run", "--threads", "1", *options).stdout)
    assert [(one["line"], one["selection"], one["seed"]) for one in cells] == [("lab (weak)", "oracle", 0)]
    for option, expected in (
        (("--method", "lap"), "'lap', did you mean 'lab'"),
        (("--dataset", "cub"), "'cub', known: toy"),
        (("--seeds", "9"), "seeds 0, 1"),
        (("--set", "classifier.rige=1"), "did you mean 'classifier.ridge'"),
        (("--only-missing", "--retry-failed"), "--retry-failed"),
    ):
        wrong = lab("bench", suite, "--threads", "1", *option)
        assert (wrong.exit_code, wrong.stdout) == (2, "")
        assert expected in wrong.stderr


def test_a_setting_of_the_command_line_holds_for_all(lab: Any, mine: Any) -> None:
    result = lab("bench", mine(LAB + WEAK), "--threads", "1", "--set", "classifier.ridge=3", "--seeds", "1")
    assert result.exit_code == 0, result.stderr
    runs = json.loads(lab("runs", "--format", "json").stdout)
    assert len(runs) == 2
    for run in runs:
        rows = json.loads(lab("show", run["run"], "--format", "json").stdout)
        assert "3.0" in [row["value"] for row in rows if row["name"] == "classifier.ridge"]


def test_faults_of_the_file_come_before_anything_is_run(lab: Any, mine: Any) -> None:
    unknown = lab("bench", "quik")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "'quik', did you mean 'quick'?" in unknown.stderr
    wrong = lab("bench", mine(LAB + "lable = 'x'\n"))
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    for fact in ("mine.toml", "row 1 (lab)", "'lable'", "did you mean 'label'?"):
        assert fact in wrong.stderr


def test_none_of_the_data_is_here(lab: Any, mine: Any) -> None:
    result = lab("bench", mine(LAB, 'datasets = "gone"\nselect = "last"\n'), "--threads", "1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.strip().splitlines()[-1].startswith("Error: suite 'mine': data set 'gone': ")


def test_suites_are_listed(lab: Any, mine: Any) -> None:
    rows = json.loads(lab("suites", "--format", "json").stdout)
    assert {row["suite"]: row["lines"] for row in rows}["ijcai22-table1"] == 18
    lines = json.loads(lab("suites", mine(LAB + WEAK + ABSENT), "--format", "json").stdout)
    assert [row["line"] for row in lines] == ["lab", "lab (weak)", "absent"]
    assert lines[1] == {"line": "lab (weak)", "method": "lab", "variant": "weak", "reading": None}


def test_listing_suites_loads_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from zslbench.cli.main import cli;"
        "done = CliRunner().invoke(cli, ['suites', 'quick', '--format', 'json']); assert done.exit_code == 0;"
        "heavy = {'torch', 'pandas', 'sklearn', 'scipy', 'jaxtyping', 'rich'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.slow
def test_ctrl_c_ends_it_with_one_line_and_it_goes_on(tmp_path: Path, mine: Any) -> None:
    """The real command, stopped in a run and repeated."""
    suite = mine(
        '[[methods]]\nmethod = "tf-vaegan"\nepochs = 400\n'
        "settings.generator = { hidden = 4, per_class = 2, batch_size = 256, critic_steps = 1 }\n"
        "settings.classifier.epochs = 1\n",
        HEAD.replace("seeds = 2", "seeds = 1"),
    )
    environment = os.environ | {
        "ZSLBENCH_STORE": str(tmp_path / "store"), "ZSLBENCH_CHECKPOINT_SECONDS": "0", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-u", "-m", "zslbench", "bench", suite, "--threads=1", "--format=json"]
    process = subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not list((tmp_path / "store").rglob("*.safetensors")):  # its first checkpoint
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "0 of 1" in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    plan = subprocess.run(
        [*command, "--dry-run"], env=environment, text=True, capture_output=True, check=True
    )
    assert [one["state"] for one in json.loads(plan.stdout)] == ["to resume"]


def test_the_grid_tells_each_cell(lab: Any, mine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = LAB + WEAK + ABSENT
    bench = prepare(mine(rows, HEAD.replace('"last"', '["val", "oracle"]')), threads=1)
    states = {
        ("lab", "toy", "val"): {0: "found", 1: "found"},
        ("lab", "toy", "oracle"): {0: "failed", 1: "running"},
        ("lab (weak)", "toy", "val"): {0: "found", 1: "to run"},
        ("lab (weak)", "toy", "oracle"): {0: "to resume", 1: "running elsewhere"},
        ("absent", "toy", "val"): {0: "no plugin", 1: "no plugin"},
        ("absent", "toy", "oracle"): {0: "no plugin", 1: "no plugin"},
    }
    for cell in bench.cells:
        cell.status = states[cell.place][cell.seed]
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(shown.grid(bench))
    assert isinstance(console.file, io.StringIO)
    assert [line.split() for line in console.file.getvalue().splitlines()] == [
        ["toy", "val", "toy", "oracle†"],
        ["lab", "2/2", "0/2", "✗1", "▶"],
        ["lab", "(weak)", "1/2", "0/2"],
        ["absent", "no", "plugin", "no", "plugin"],
    ]


def test_titles_and_labels_are_data(lab: Any, mine: Any) -> None:
    """In a plan in each format, and in the grid on a terminal."""
    names = [
        name[:5000] for name in NAMES.values() if name and (name.isprintable() or "\\u" not in ascii(name))
    ]
    quoted = ['"' + "".join(f"\\U{ord(one):08x}" for one in name) + '"' for name in names]
    rows = "".join(f"{LAB}label = {one}\n" for one in quoted)
    for fmt in FORMATS:
        result = lab("bench", mine(rows, HEAD.replace('"Mine"', quoted[1])), "--dry-run", "--format", fmt)
        assert result.exit_code == 0, result.stderr
        assert obeyed(result.output) == []
        if fmt == "json":
            assert {one["line"] for one in json.loads(result.stdout)} == set(names)
    suite = SimpleNamespace(datasets=names, split_sets={}, select=["val"])
    bench = SimpleNamespace(
        resolved=SimpleNamespace(suite=suite, lines=[SimpleNamespace(label=one) for one in names]), cells=[]
    )
    out = io.StringIO()
    Console(file=out, width=100_000, force_terminal=True).print(shown.grid(bench))  # type: ignore[arg-type]
    assert obeyed(out.getvalue(), terminal=True) == []
    assert out.getvalue().count("[/oops] [bold red]x[/] :tiger:") == 2


def test_on_a_terminal_the_grid_is_drawn(lab: Any, mine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    from zslbench.cli import progress

    logger = logging.getLogger("zslbench")
    monkeypatch.setattr(logger, "handlers", list(logger.handlers))
    monkeypatch.setattr(logger, "propagate", logger.propagate)
    out = io.StringIO()

    def console(**options: Any) -> Console:
        return Console(
            file=out,
            width=100,
            height=30,
            force_terminal=True,
            color_system=None,
            _environ={},
        )

    monkeypatch.setattr(progress, "Console", console)
    with shown.watching() as watcher:
        assert isinstance(watcher, shown.Grid)
        outcome = prepare(mine(LAB + LAME), threads=1, display=watcher).run(watcher)
    assert len(outcome.records) == 2
    last = out.getvalue().rsplit("mine ", 1)[1]  # the frame that stays
    assert "4/4" in last
    assert "2/2" in last
    assert "0/2 ✗2" in last
    assert f"failed: lame (fails) on toy, last, seed 0: {PLACE}: RuntimeError: it cannot" in out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (59.4, "59 s"),
        (60.0, "1 min"),
        (3540.0, "59 min"),
        (3600.0, "1 h 0 min"),
        (12000.0, "3 h 20 min"),
        (190800.0, "2 d 5 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
