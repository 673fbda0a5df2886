"""Command lines that the pages in docs/ and CONTRIBUTING.md show exist, with every option that they give."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from zslbench.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = (*sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md")

WITHOUT_COMMANDS = {"api.md", "commands.md", "hooks.md", "index.md", "news.md", "_news.md", "CONTRIBUTING.md"}
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
