"""Command lines on the pages in docs/ and in CONTRIBUTING.md exist, and their Python examples run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, block_commands, blocks, broken_links, find_command, inline_commands

PAGES = (*sorted((ROOT / "docs").glob("[!_]*.md")), ROOT / "CONTRIBUTING.md")

WITHOUT_COMMANDS = {"api.md", "commands.md", "hooks.md", "index.md", "news.md", "CONTRIBUTING.md"}
"""Pages that are generated or that only link."""


SHOWN = [(page.name, line) for page in PAGES for line in inline_commands(page.read_text("utf-8"))]
TYPED = [(page.name, line) for page in PAGES for line in block_commands(page.read_text("utf-8"))]


def test_pages_show_command_lines() -> None:
    assert {page for page, _ in SHOWN + TYPED} >= {page.name for page in PAGES} - WITHOUT_COMMANDS


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_the_command_and_its_options_exist(page: str, line: str) -> None:
    command, words = find_command(line)
    params = command.params
    known = {option for one in params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert given <= known


@pytest.mark.parametrize(("page", "line"), TYPED)
def test_command_lines_in_blocks_can_be_parsed(page: str, line: str) -> None:
    command, words = find_command(line)
    command.make_context(command.name, words)  # raises if an option or a value is unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def python_examples(page: Path) -> str:
    """The Python blocks of a page, in order, as one program. Those of the gallery run in test_gallery.py."""
    if page.name == "gallery.md":
        return ""
    return "\n".join(blocks(page.read_text("utf-8"), "python"))


@pytest.mark.slow
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
