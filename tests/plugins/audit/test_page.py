"""docs/trust.md says what there is."""

from __future__ import annotations

import re
from pathlib import Path

import click

from zslbench.cli.main import cli
from zslbench_audit import PROBES

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "trust.md").read_text("utf-8")


def test_every_probe_has_its_row_and_no_other():
    table = PAGE.partition("| probe |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [one.name for one in PROBES]
    shown = {name for cell in re.findall(r"audit: ([^|]*)\|", PAGE) for name in re.findall(r"`(\w+)`", cell)}
    assert shown == {one.name for one in PROBES}


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


def test_commands_and_options_exist():
    context = click.Context(cli)
    for line in re.findall(r"^zslbench ([^#\n]+)", PAGE, re.MULTILINE):
        name, *words = line.split()
        command = cli.get_command(context, name)
        assert command is not None, name
        known = {text for one in command.params for text in [*one.opts, *one.secondary_opts]}
        assert {word for word in words if word.startswith("--")} <= known, line
