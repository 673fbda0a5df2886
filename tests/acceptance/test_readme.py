"""What README.md shows works: its command lines, its Python, and its plugin."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
from pages import ROOT, block_commands, blocks, inline_commands, section, without_blocks

import zslbench
from zslbench.cli.main import cli
from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry

README = (ROOT / "README.md").read_text("utf-8")


LINES = [*inline_commands(README), *block_commands(README)]


def test_there_are_command_lines() -> None:
    assert len(LINES) > 10
    shown = {line.split()[1] for line in LINES}
    assert {"run", "runs", "show", "table", "methods", "datasets"} <= shown <= set(cli.registered)


@pytest.mark.parametrize("line", LINES)
def test_command_line_means_something(line: str) -> None:
    name, *arguments = shlex.split(line)[1:]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    given = command.make_context(name, list(arguments)).params  # raises where an option is unknown
    known = registry()
    if name == "methods" and given["name"]:
        known.method(given["name"])
    if name == "run" and given["method"] != "prototype":  # that one is made below
        components = {kind: given[kind] for kind in ("embedding", "generator", "classifier")}
        resolve(
            known, given["dataset"], method=given["method"], variant=given["variant"], components=components,
            settings=given["settings"], epochs=given["epochs"],
        )  # fmt: skip


def test_options_that_the_text_names_exist() -> None:
    known = {
        option
        for name in cli.registered
        for parameter in cli.get_command(click.Context(cli), name).params  # type: ignore[union-attr]
        for option in parameter.opts
    }
    named = set(re.findall(r"`(--[a-z-]+)", without_blocks(README)))
    assert named
    assert named <= known


def test_python_example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    (example,) = [block for block in blocks(README, "python") if "zslbench.run(" in block]
    settings = {"generator.hidden": 8, "generator.per_class": 4, "classifier.epochs": 1}
    quick = partial(zslbench.run, epochs=1, threads=1, store=tmp_path, settings=settings, select="last")
    monkeypatch.setattr(zslbench, "run", quick, raising=False)
    exec(compile(example, "README.md", "exec"), {})
    assert "mean ± std" in capsys.readouterr().out


def test_methods_readings_and_variants_that_the_table_names() -> None:
    table = section(README, "## Methods")
    known = {
        one.name: {two.name for two in (*one.declaration.variants, *one.declaration.readings)}
        for one in registry().methods()
    }
    listed = {}
    for row in re.findall(r"^\| `(.+?)`(.*?) \|", table, re.MULTILINE):
        listed[row[0]] = set(re.findall(r"`([^`]+)`", row[1]))
    assert listed == {name: known[name] for name in listed}
    ours = {one.name for one in registry().methods() if one.plugin.distribution == "zslbench"}
    assert set(listed) == ours


def test_length_of_the_smallest_plugin() -> None:
    said = re.search(r"plugins/zslbench_eszsl\) \((\d+) lines in all\)", README)
    assert said is not None
    files = (ROOT / "plugins" / "zslbench_eszsl").glob("*.py")
    assert int(said[1]) == sum(len(path.read_text("utf-8").splitlines()) for path in files)


@pytest.mark.slow
def test_your_method_in_ten_lines(tmp_path: Path) -> None:
    """The three blocks, installed by hand: a package and the metadata that pip would write beside it."""
    (toml,) = blocks(section(README, "## Your method, in ten lines"), "toml")
    site = tmp_path / "site"
    for block in blocks(section(README, "## Your method, in ten lines"), "python"):
        name = re.match(r"# (my_method/\w+\.py)", block)
        assert name is not None
        (site / name[1]).parent.mkdir(parents=True, exist_ok=True)
        (site / name[1]).write_text(block, "utf-8")
    entry = re.search(r'\[project\.entry-points\.(\w+)\]\n([\w-]+) = "(\w+)"', toml)
    assert entry is not None
    info = site / "my_method-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-method\nVersion: 0.1\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2]} = {entry[3]}\n", "utf-8")

    environment = os.environ | {
        "PYTHONPATH": str(site), "ZSLBENCH_STORE": str(tmp_path / "store"), "OMP_NUM_THREADS": "1",
        "ZSLBENCH_STRICT_PLUGINS": "1",
    }  # fmt: skip
    (command,) = [line for line in LINES if "run prototype" in line]
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), "--threads=1", "--format=json"],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"method": "prototype"' in done.stdout
    h = re.search(r'"H": ([\d.]+)', done.stdout)
    assert h is not None
    assert float(h[1]) > 10  # far above the 5 % of chance: it learned something
