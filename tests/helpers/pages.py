"""Reads Markdown pages: their blocks, command lines, sections and links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from zslbench.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def without_blocks(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def section(text: str, heading: str) -> str:
    """What is below a heading such as ``## Methods``, up to the next one of its level."""
    level = heading.partition(" ")[0]
    return text.split(f"{heading}\n", 1)[1].split(f"\n{level} ", 1)[0]


def block_commands(text: str) -> list[str]:
    """Every line ``zslbench ...`` of the shell blocks, without comments, pipes and redirections."""
    lines = "".join(blocks(text, "sh")).replace("\\\n", " ").splitlines()
    return [re.split(r" (?:#|\||[12]?>)", line)[0].strip() for line in lines if line.startswith("zslbench ")]


def inline_commands(text: str) -> list[str]:
    """Every ``zslbench ...`` between backticks."""
    return re.findall(r"`(zslbench [^`\n]+)`", without_blocks(text))


def find_command(line: str) -> tuple[click.Command, list[str]]:
    """The command that a line calls, and its arguments. Fails if the command does not exist."""
    command: click.Command = cli
    words = shlex.split(line)[1:]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, line
        command, words = found, words[1:]
    return command, words


def broken_links(path: Path) -> list[str]:
    """Links of a page to files that do not exist."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", without_blocks(path.read_text("utf-8")))
    local = (one for one in targets if not re.match(r"https?:|mailto:", one))
    return [one for one in local if not (path.parent / one).exists()]
