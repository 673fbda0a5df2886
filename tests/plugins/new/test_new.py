"""``zslbench new method``: what it writes runs and passes its tests as it is; bad input writes nothing."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from zslbench.cli.main import cli
from zslbench.store.store import Store
from zslbench_new.cli import KINDS


def installed(project: Path, name: str) -> Path:
    """What ``pip install -e`` would add to the path: the package and its entry point."""
    site = project.parent / "site"
    info = site / f"{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(parents=True)
    entry_points = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    lines = [f"{key} = {value}" for key, value in entry_points["zslbench"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[zslbench]", *lines, ""]), "utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n", "utf-8")
    return site


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_runs_on_toy_and_its_tests_pass(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"my-{kind}"
    done = CliRunner().invoke(cli, ["new", "method", name, "--kind", kind])
    assert done.exit_code == 0, done.output
    project = tmp_path / name
    listed = {Path(line) for line in done.stdout.splitlines()}
    assert listed == {one.relative_to(tmp_path) for one in project.rglob("*") if one.is_file()}
    assert "pip install -e" in done.stderr
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (project, installed(project, name)))),
        "ZSLBENCH_STORE": str(tmp_path / "store"),
        "OMP_NUM_THREADS": "1",
    }

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            capture_output=True, text=True, env=environment, cwd=tmp_path, check=False,
        )  # fmt: skip

    run = python("zslbench", "run", name, "--dataset", "toy", "--threads", "1", "--format", "csv")
    assert run.returncode == 0, run.stderr
    (row,) = csv.DictReader(io.StringIO(run.stdout))
    assert row["method"] == name
    assert float(row["H"]) > 20  # learned: chance is 5
    record = Store(tmp_path / "store").resolve(row["run"])
    assert record.environment["preset"] == "toy"
    tests = python("pytest", "-q", "-p", "no:cacheprovider", str(project))
    assert tests.returncode == 0, tests.stdout
    assert " passed" in tests.stdout
    assert "failed" not in tests.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("My-Method", "my-method"),
        ("my_method", "my-method"),
        ("1st", "my-method"),
        ("class", "my-method"),
        ("a--b", "my-method"),
        ("eszsl", "eszsl (zslbench"),
        ("softmax", "common (zslbench"),
        ("torch", "torch"),
        ("zslbench-common", "zslbench_common"),
    ],
)
def test_names_that_cannot_be_used(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["new", "method", name])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
    assert f"'{name}'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "mine"
    arguments = ["new", "method", "my-method", "--folder", str(folder)]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    readme = folder / "README.md"
    readme.write_text("mine", "utf-8")
    again = CliRunner().invoke(cli, arguments)
    assert (again.exit_code, again.stdout, again.stderr.count("\n")) == (1, "", 1)
    assert str(folder) in again.stderr
    assert readme.read_text("utf-8") == "mine"
    (tmp_path / "empty").mkdir()
    assert CliRunner().invoke(cli, [*arguments[:-1], str(tmp_path / "empty")]).exit_code == 0
    (tmp_path / "file").touch()
    assert CliRunner().invoke(cli, [*arguments[:-1], str(tmp_path / "file")]).exit_code == 2
    blocked = CliRunner().invoke(cli, [*arguments[:-1], str(tmp_path / "file" / "below")])
    assert (blocked.exit_code, blocked.stderr.count("\n")) == (1, 1)


def test_help_lists_the_kinds() -> None:
    text = CliRunner().invoke(cli, ["new", "method", "--help"]).stdout
    assert all(kind in text for kind in KINDS)
