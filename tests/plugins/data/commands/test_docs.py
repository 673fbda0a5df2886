"""What the pages in docs/ show can be typed, and their figures are the catalogue's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from zslbench.cli.main import Frame, cli
from zslbench_data.download.catalogue import catalogue
from zslbench_data.download.presence import region_bytes
from zslbench_data.progress import human

DOCS = Path(__file__).resolve().parents[4] / "docs"
PAGES = {one.name: one.read_text("utf-8") for one in sorted(DOCS.glob("[!_]*.md"))}
COMING: set[str] = set()
"""Commands that the pages lead to and that may not be there yet."""


def command_lines() -> list[str]:
    found = []
    for text in PAGES.values():
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            lines = (line.split("#")[0].strip() for line in block.splitlines())
            found += [line for line in lines if line.startswith("zslbench ")]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("line", command_lines())
def test_command_lines_can_be_typed(line: str) -> None:
    group: click.Command = cli
    name, *arguments = shlex.split(line)[1:]
    while isinstance(group, Frame):
        found = group.get_command(click.Context(group), name)
        if found is None:
            assert name in COMING
            return
        group = found
        if isinstance(group, click.Group):
            name, *arguments = arguments
    group.make_context(name, list(arguments))  # raises where an option is unknown


def test_links_lead_somewhere() -> None:
    for text in PAGES.values():
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            assert target.startswith("http") or (DOCS / target).exists(), target


def test_every_archive_of_a_data_set_is_named() -> None:
    for entry in catalogue().datasets.values():
        for part in entry.parts:
            assert catalogue().archives[part.archive].file in PAGES["data.md"]


def test_sizes_of_sun() -> None:
    page = PAGES["from-nothing-to-sc-egg-on-sun.md"]
    sun = catalogue().entry("sun")
    for size in (region_bytes(sun), region_bytes(sun, 4), catalogue().archives["sun-images"].size):
        assert human(size) in page
    assert f"{sun.counts['images']:,} images" in page
    assert f"({sun.counts['attributes']} × 300)" in page
