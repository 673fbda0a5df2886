"""``zslbench audit``."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from zslbench.cli.main import cli


@pytest.fixture
def call(known, small, tmp_path, monkeypatch):
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "400")
    settings = [part for key, value in small.items() for part in ("--set", f"{key}={value}")]

    def one(*arguments, small=True):
        return CliRunner().invoke(cli, ["audit", *arguments, *(settings if small else [])])

    return one


def test_a_method_that_passes(call):
    done = call("honest")
    assert done.exit_code == 0, done.output
    assert "audit of honest: 8 of 8 probes passed" in done.stdout
    assert done.stdout.count("passed") == 9
    assert "cannot prove" in done.stderr
    listed = call("--list", "--format", "json", small=False)
    (row,) = json.loads(listed.stdout)
    assert (row["method"], row["result"], row["version"]) == ("honest", "8 of 8 probes passed", "installed")


def test_a_leak_gives_exit_code_1(call):
    done = call("counting", "--format", "csv")
    assert done.exit_code == 1
    assert "counting: 6 of 8 probes passed, failed: labels, rows" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "method,variant,reading,name,passed,claim,detail"
    assert [line.split(",")[4] for line in lines[1:]].count("false") == 2


def test_all_methods(call, known, monkeypatch):
    chosen = [known.method(name) for name in ("honest", "dicing")]
    monkeypatch.setattr(known, "methods", lambda: tuple(chosen))
    done = call("--format", "json", small=False)
    assert done.exit_code == 1
    assert {row["method"] for row in json.loads(done.stdout)} == {"honest", "dicing"}
    assert "dicing: 7 of 8 probes passed, failed: globals" in done.stderr


def test_a_method_that_cannot_run_does_not_stop_the_others(call, known, monkeypatch):
    from dataclasses import replace

    honest = known.method("honest")
    lame = replace(honest, declaration=replace(honest.declaration, name="lame", classifier="nobody"))
    monkeypatch.setattr(known, "methods", lambda: (lame, honest))
    monkeypatch.setitem(known._registered, ("method", "lame"), lame)
    done = call("--format", "json", small=False)
    assert done.exit_code == 1
    assert {row["method"] for row in json.loads(done.stdout)} == {"honest"}
    assert "lame: method 'lame' needs a component that is missing" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nobody",), "no method 'nobody'"),
        (("eszsl", "--variant", "x"), "has no variant 'x'"),
        (("--variant", "x"), "name it"),
    ],
)
def test_bad_input_is_one_line(call, arguments, words):
    done = call(*arguments, small=False)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stdout == ""


def test_an_empty_store_names_the_command(call):
    done = call("--list", small=False)
    assert done.exit_code == 0
    assert "zslbench audit METHOD makes one" in done.stderr


def test_every_line_of_a_suite(call, tmp_path, monkeypatch):
    """One audit for each method, variant and reading; methods without a plugin are reported."""
    lines = """
    datasets = ["toy"]
    [[methods]]
    method = "honest"
    [[methods]]
    method = "honest"
    label = "again"
    [[methods]]
    method = "dicing"
    variants = ["full"]
    [[methods]]
    method = "nobody-has-it"
    """
    (tmp_path / "mine.toml").write_text(lines, "utf-8")
    done = call("--suite", str(tmp_path / "mine.toml"), "--format", "json", small=False)
    assert [row["method"] for row in json.loads(done.stdout)[::8]] == ["honest", "dicing"]
    assert "no plugin registers method 'nobody-has-it'" in done.stderr
    assert call("eszsl", "--suite", "quick", small=False).exit_code == 2
