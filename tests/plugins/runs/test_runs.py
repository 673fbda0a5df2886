"""``zslbench runs`` lists, removes, exports and imports; ``--quiet`` leaves results and warnings."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zslbench.cli.main import cli
from zslbench.store import Store
from zslbench.testing.fakes import fake_record

Call = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path / "store"))
    store = Store(tmp_path / "store")
    for seed in range(3):
        fake_record(store, "sc-egg", seed=seed)
    fake_record(store, "eszsl", "sun")
    return store


@pytest.fixture
def call() -> Call:
    def invoke(*arguments: str, answer: str = "", code: int = 0) -> Result:
        result = CliRunner().invoke(cli, ["runs", *arguments], input=answer)
        assert result.exit_code == code, result.output
        return result

    return invoke


def listed(call: Call, *options: str) -> list[tuple[str, str]]:
    rows = csv.DictReader(io.StringIO(call(*options, "--format", "csv").stdout))
    return sorted((row["method"], row["seed"]) for row in rows)


EGG = [("sc-egg", "0"), ("sc-egg", "1"), ("sc-egg", "2")]
ESZSL = [("eszsl", "0")]


def test_filters_and_the_older_options_choose_together(store: Store, call: Call) -> None:
    assert listed(call) == ESZSL + EGG
    assert listed(call, "--method", "sc-egg", "--filter", "seed>0") == EGG[1:]
    assert listed(call, "--dataset", "SUN") == listed(call, "--filter", "dataset=sun") == ESZSL
    assert listed(call, "--select", "last") == []
    call("--filter", "seeds>0", code=2)


def test_ids_for_other_commands(store: Store, call: Call) -> None:
    every = {one.info.id: one.info.method for one in store.records()}
    assert set(call("--ids").stdout.split()) == set(every)
    (only,) = call("--ids", "--method", "eszsl").stdout.splitlines()
    assert every[only] == "eszsl"
    assert call("--ids", "--method", "none").stdout == ""


def test_what_to_do_where_no_run_matches(store: Store, call: Call, tmp_path: Path) -> None:
    assert "zslbench run METHOD" not in call("--filter", "method=none").stderr  # the filter is the reason
    assert "zslbench run METHOD" in call("--store", str(tmp_path / "empty")).stderr


def test_settings_are_shown_where_runs_differ_in_them(store: Store, call: Call) -> None:
    assert "differs in" not in call().stdout
    fake_record(store, "sc-egg", identity={"settings/classifier/lr": 0.5})
    rows = json.loads(call("--format", "json").stdout)
    found = {(row["method"], row["differs in"]) for row in rows}
    assert found == {("eszsl", ""), ("sc-egg", "classifier.lr=0.1"), ("sc-egg", "classifier.lr=0.5")}
    assert "classifier.lr=0.5" in call().stdout


def test_tables_take_filters(store: Store) -> None:
    result = CliRunner().invoke(cli, ["table", "--filter", "method=eszsl", "--format", "json"])
    assert [row["method"] for row in json.loads(result.stdout)] == ["eszsl"]


def test_removal_asks_first(store: Store, call: Call) -> None:
    for answer in ("n\n", ""):
        assert "eszsl" in call("rm", "--method", "eszsl", answer=answer, code=1).stdout
        assert listed(call) == ESZSL + EGG
    call("rm", "--method", "eszsl", answer="y\n")
    assert listed(call) == EGG
    first = store.records()[0].info
    call("rm", first.id[:8], "--yes")
    assert listed(call) == [one for one in EGG if one[1] != str(first.seed)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["rm", "--yes"],
        ["rm", "--yes", "abc", "--method", "eszsl"],
        ["--method", "eszsl", "rm", "--yes"],
        ["--store", "elsewhere", "rm", "--method", "eszsl", "--yes"],
        ["rm", "--yes", "nothing"],
        ["rm", "--yes", "--filter", "method"],
    ],
)
def test_nothing_is_removed_that_was_not_clearly_named(
    store: Store, call: Call, arguments: list[str]
) -> None:
    call(*arguments, code=2)
    assert listed(call) == ESZSL + EGG


def test_runs_that_are_being_computed_stay(store: Store, call: Call) -> None:
    run = store.records()[0].info.id
    with store.workspace(run):
        call("rm", run, store.records()[1].info.id, "--yes", code=1)
        assert len(store.records()) == 4
        call("rm", "--filter", "seed>=0", "--yes")
    assert [one.info.id for one in store.records()] == [run]


def test_runs_travel_from_store_to_store(store: Store, call: Call, tmp_path: Path) -> None:
    archive, other = str(tmp_path / "runs.zip"), str(tmp_path / "other")
    call("export", archive, "--method", "sc-egg")
    call("export", archive, code=1)  # never overwritten
    assert (
        json.loads(call("import", archive, "--store", other, "--format", "json").stdout)[0]["state"]
        == "added"
    )
    assert listed(call, "--store", other) == EGG
    again = call("import", archive, "--store", other, "--format", "json")
    assert {row["state"] for row in json.loads(again.stdout)} == {"here already"}
    Store(other).remove(store.records()[0].info.id)
    fake_record(Store(other), "sc-egg", seed=store.records()[0].info.seed, h=0.9)
    result = call("import", archive, "--store", other, code=1)
    assert store.records()[0].info.id in result.stderr and "90.0 here, 24.0 there" in result.stderr
    (tmp_path / "no.zip").write_text("mine")
    call("import", str(tmp_path / "no.zip"), code=1)
    call("export", str(tmp_path / "x.zip"), "--method", "none", code=1)


def test_quiet_leaves_out_remarks(store: Store, call: Call, tmp_path: Path) -> None:
    assert call("export", str(tmp_path / "a.zip")).stderr
    assert not call("export", str(tmp_path / "b.zip"), "--quiet").stderr
    assert not CliRunner().invoke(cli, ["-q", "runs", "rm", "--method", "eszsl", "--yes"]).stderr
