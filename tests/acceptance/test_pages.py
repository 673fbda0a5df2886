"""Command lines on the pages in docs/ and in CONTRIBUTING.md exist, and their Python examples run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from zslbench.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = (*sorted((ROOT / "docs").glob("[!_]*.md")), ROOT / "CONTRIBUTING.md")

WITHOUT_COMMANDS = {"api.md", "commands.md", "hooks.md", "index.md", "news.md", "CONTRIBUTING.md"}
"""Pages that are generated or that only link."""


def command_lines(page: Path) -> list[str]:
    """Every ``zslbench ...`` on a line of a block in a shell's language or between backticks."""
    text = page.read_text("utf-8")
    found = re.findall(r"`(zslbench [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        found += [line.split(" #")[0].strip() for line in lines if line.startswith("zslbench ")]
    return found


SHOWN = [(page.name, line) for page in PAGES for line in command_lines(page)]


def test_pages_show_command_lines() -> None:
    assert {page for page, _ in SHOWN} >= {page.name for page in PAGES} - WITHOUT_COMMANDS


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_the_command_and_its_options_exist(page: str, line: str) -> None:
    command: click.Command = cli
    words = shlex.split(line)[1:]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    params = command.params
    known = {option for one in params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert given <= known


def python_examples(page: Path) -> str:
    """The Python blocks of a page, in order, as one program."""
    return "\n".join(re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL))


@pytest.mark.parametrize("page", [one for one in PAGES if python_examples(one)], ids=lambda page: page.name)
def test_examples_run(page: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", python_examples(page)],
        cwd=tmp_path,
        env=os.environ | {"ZSLBENCH_STORE": str(tmp_path / "store"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
