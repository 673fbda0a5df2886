"""A method from somebody else's distribution: installed, run, edited, uninstalled, without touching ours.

The distributions are the folders of ``third_party``, built and installed as pip does it, without network.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "third_party"
CHECKOUT = Path(__file__).parents[2]
RUN = ("run", "their-method", "--dataset", "toy", "--threads", "1", "--format", "json")
QUICK = ("--select", "last", "--epochs", "2", "--set", "classifier.epochs=2")


@dataclass(frozen=True)
class Site:
    """A folder that distributions are installed into, and the store of runs beside it."""

    folder: Path

    @property
    def packages(self) -> Path:
        return self.folder / "packages"

    def install(self, name: str, project: Path | None = None) -> None:
        """Build a copy of a project, by default one of ``third_party``, and install its wheel."""
        source = self.folder / "source" / name
        shutil.copytree(project or HERE / name, source)
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index",
             "--no-deps", "--no-build-isolation", "--target", str(self.packages), str(source)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def python(
        self, *arguments: str, installed: bool = True, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the module ``arguments[0]``, with or without the folder on the path."""
        environment = {
            k: v for k, v in os.environ.items() if k not in ("ZSLBENCH_STRICT_PLUGINS", "THEIR_LOG")
        }
        environment |= {"ZSLBENCH_STORE": str(self.folder / "store"), "COLUMNS": "200", **more}
        environment["PYTHONPATH"] = str(self.packages) if installed else ""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            capture_output=True, text=True, cwd=self.folder, env=environment, check=False,
        )  # fmt: skip

    def zslbench(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self.python("zslbench", *arguments, **options)

    def rows(self, *arguments: str, **options: Any) -> list[dict[str, Any]]:
        """The rows that a command gives as JSON."""
        done = self.zslbench(
            *arguments, *(() if "--format" in arguments else ("--format", "json")), **options
        )
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


def ours() -> dict[str, str]:
    """sha256 of every file of our own that an installation or a run could touch."""
    files = (
        path for top in ("zslbench", "plugins") for path in (CHECKOUT / top).rglob("*") if path.is_file()
    )
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """their-method is installed, and nothing else."""
    made = Site(tmp_path_factory.mktemp("site"))
    made.install("their-method")
    return made


@pytest.fixture(scope="module")
def quick(site: Site) -> dict[str, Any]:
    """The row of a short run."""
    (row,) = site.rows(*RUN, *QUICK)
    return row


def test_it_runs_and_our_tree_stays_as_it_is(site: Site) -> None:
    before = ours()
    log = site.folder / "log.jsonl"
    (row,) = site.rows(*RUN, THEIR_LOG=str(log))
    assert (row["method"], row["dataset"], row["seed"]) == ("their-method", "toy", 0)
    assert all(0 <= row[name] <= 100 for name in ("Acc", "U", "S", "H"))
    assert row["H"] > 30  # learned: with 20 classes, chance is 5

    events = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert {one["run"] for one in events} == {row["run"]}
    assert [one["event"] for one in events if one["event"] != "epoch"] == ["started", "finished"]
    assert (events[0]["event"], events[-1]["event"]) == ("started", "finished")
    assert events[-1]["h"] * 100 == pytest.approx(row["H"])
    trained = [one["epoch"] for one in events if one.get("stage") == "validation/generator"]
    assert trained == list(range(1, 41))
    assert "score_distance" in events[1]["metrics"]

    (again,) = site.rows(*RUN, THEIR_LOG=str(log))
    assert again["run"] == row["run"]
    assert len(log.read_text("utf-8").splitlines()) == len(events)  # found, so no hook is called

    (variant,) = site.rows(*RUN, "--variant", "no-spread", *QUICK)
    assert variant["method"] == "their-method (no-spread)"
    assert ours() == before


def test_it_is_listed_with_its_origin(site: Site) -> None:
    methods = {row["method"]: row for row in site.rows("methods")}
    assert {"eszsl", "tf-vaegan"} <= methods.keys()
    row = methods["their-method"]
    assert (row["plugin"], row["distribution"], row["version"]) == ("their-method", "their-method", "1.4")
    assert (row["generator"], row["variants"], row["status"]) == ("their-generator", ["no-spread"], "ok")
    (plugin,) = [row for row in site.rows("plugins") if row["plugin"] == "their-method"]
    assert (plugin["status"], plugin["components"], plugin["methods"]) == ("ok", 1, 1)
    assert (plugin["distribution"], plugin["version"]) == ("their-method", "1.4")
    shown = site.zslbench("methods", "their-method")
    assert shown.returncode == 0
    assert "Weight of the term that keeps two samples of a class apart" in " ".join(shown.stdout.split())


def test_its_parts_combine_with_ours(site: Site) -> None:
    parts = ("--embedding", "identity", "--generator", "their-generator", "--classifier", "softmax")
    tiny = (
        "--set",
        "generator.hidden=16",
        "--set",
        "classifier.epochs=2",
        "--epochs",
        "2",
        "--select",
        "last",
    )
    (row,) = site.rows("run", *parts, *tiny, "--dataset", "toy", "--threads", "1", "--format", "json")
    assert row["method"] == "identity+their-generator+softmax"
    wrong = site.zslbench(*RUN, "--set", "generator.hiden=8")
    assert wrong.returncode == 2
    assert wrong.stderr == "Error: generator 'their-generator': no setting 'hiden', did you mean 'hidden'?\n"


def test_an_edit_is_another_run(site: Site, quick: dict[str, Any], tmp_path: Path) -> None:
    edited = Site(tmp_path)
    shutil.copytree(site.packages, edited.packages)
    (before,) = edited.rows(*RUN, *QUICK)
    assert before["run"] == quick["run"]  # where it is installed makes no difference
    source = edited.packages / "their_method" / "generator.py"
    source.write_text(source.read_text("utf-8").replace("0.5 * self", "0.4 * self"), "utf-8")
    (after,) = edited.rows(*RUN, *QUICK)
    assert after["run"] != before["run"]


def test_uninstalled_it_is_gone_and_its_runs_stay(site: Site, quick: dict[str, Any]) -> None:
    names = [one["method"] for one in site.rows("methods", installed=False)]
    assert "their-method" not in names
    assert "eszsl" in names
    gone = site.zslbench(*RUN, installed=False)
    assert gone.returncode == 2
    assert gone.stderr.startswith("Error: no method 'their-method', ")
    assert gone.stderr.count("\n") == 1
    assert quick["run"] in {one["run"] for one in site.rows("runs", installed=False)}


@pytest.fixture(scope="module")
def with_commands(site: Site, quick: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Their method, the distribution that adds commands, and the store with the short run."""
    made = Site(tmp_path_factory.mktemp("commands"))
    shutil.copytree(site.packages, made.packages)
    shutil.copytree(site.folder / "store", made.folder / "store")
    made.install("their-command")
    return made


def test_their_commands_are_listed_and_run(with_commands: Site, quick: dict[str, Any]) -> None:
    listed = with_commands.zslbench("--help")
    assert listed.returncode == 0
    lines = [line.split() for line in listed.stdout.splitlines()]
    assert ["best-runs", "Show", "the", "best", "runs", "of", "a", "store."] in lines
    assert {"run", "audit", "their-group", "their-missing"} <= {line[0] for line in lines if line}
    rows = with_commands.rows("best-runs", "their-method", "--top", "1")
    assert [row["method"] for row in rows] == ["their-method"]
    assert "--top" in with_commands.zslbench("best-runs", "--help").stdout
    shown = with_commands.rows("show", quick["run"])
    assert "place in the store" in {row["name"] for row in shown}


def test_errors_of_their_commands_are_one_line(with_commands: Site) -> None:
    unknown = with_commands.zslbench("best-runs", "their-methot")
    assert (unknown.returncode, unknown.stdout, unknown.stderr.count("\n")) == (2, "", 1)
    assert "'their-method'" in unknown.stderr
    assert with_commands.zslbench("best-runs", "--topp", "1").returncode == 2
    for arguments in (("their-group", "fail"), ("their-group", "fail", "--debug")):
        failed = with_commands.zslbench(*arguments)
        assert failed.returncode == 1
        assert "Error: ZeroDivisionError: division by zero" in failed.stderr
        assert ("Traceback" in failed.stderr) == ("--debug" in arguments)


def test_a_command_that_cannot_be_imported_stops_no_other(with_commands: Site) -> None:
    lost = with_commands.zslbench("their-missing")
    assert (lost.returncode, lost.stdout, lost.stderr.count("\n")) == (1, "", 1)
    assert all(text in lost.stderr for text in ("'their-command'", "their_command.nowhere:lost"))
    assert with_commands.zslbench("methods").returncode == 0
    assert with_commands.zslbench("best-runs").returncode == 0


def test_their_commands_have_python_functions(with_commands: Site) -> None:
    script = with_commands.folder / "script.py"
    script.write_text("import zslbench\nprint(len(zslbench.best_runs()))\n", "utf-8")
    done = with_commands.python("script")
    assert (done.returncode, int(done.stdout) > 0) == (0, True), done.stderr


def test_a_taken_command_is_a_broken_plugin(with_commands: Site, tmp_path: Path) -> None:
    both = Site(tmp_path)
    shutil.copytree(with_commands.packages, both.packages)
    source = both.packages / "their_command" / "__init__.py"
    source.write_text(source.read_text("utf-8").replace('"their-missing"', '"audit"'), "utf-8")
    status = {row["plugin"]: row for row in both.rows("plugins")}
    assert status["their-command"]["status"] == "broken"
    assert "command 'audit'" in status["their-command"]["reason"]
    assert both.zslbench("best-runs").returncode == 2
    assert both.zslbench("audit", "--help").returncode == 0


def test_a_generated_plugin_is_installed_and_runs(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert site.zslbench("new", "method", "my-method", "--folder", "project").returncode == 0
    site.install("my-method", tmp_path / "project")
    (row,) = site.rows("run", "my-method", "--dataset", "toy", "--threads", "1", *QUICK)
    assert row["method"] == "my-method"
    (plugin,) = [row for row in site.rows("plugins") if row["plugin"] == "my-method"]
    assert (plugin["status"], plugin["version"]) == ("ok", "0.1.0")


def test_its_own_conformance_tests_pass(site: Site) -> None:
    tests = site.folder / "source" / "their-method" / "tests"
    done = site.python("pytest", "-q", "-p", "no:cacheprovider", str(tests))
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_a_broken_plugin_hurts_nobody(site: Site, tmp_path: Path) -> None:
    both = Site(tmp_path)
    shutil.copytree(site.packages, both.packages)
    both.install("broken-plugin")
    reason = "importing broken_plugin failed: RuntimeError: needs a licence file"

    status = {row["plugin"]: row for row in both.rows("plugins")}
    assert (status["broken-plugin"]["status"], status["broken-plugin"]["reason"]) == ("broken", reason)
    assert (status["broken-plugin"]["distribution"], status["broken-plugin"]["version"]) == (
        "broken-plugin",
        "0.3",
    )
    assert all(row["status"] == "ok" for name, row in status.items() if name != "broken-plugin")

    listed = both.zslbench("methods", "--format", "csv")
    assert {"eszsl", "their-method"} <= {row["method"] for row in csv.DictReader(io.StringIO(listed.stdout))}
    assert f"note: plugin 'broken-plugin' is broken and left out: {reason}" in listed.stderr
    (row,) = both.rows("run", "eszsl", "--dataset", "toy", "--threads", "1", "--select", "last")
    assert row["method"] == "eszsl"

    for command in (("plugins",), ("run", "eszsl", "--dataset", "toy")):
        strict = both.zslbench("--strict-plugins", *command)
        assert strict.returncode == 1
        assert strict.stdout == ""
        assert strict.stderr == f"Error: plugin 'broken-plugin' is broken: {reason}\n"
