"""The suites that README.md and docs/suites.md show work, and every key is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import ROOT, blocks, section

from zslbench.experiment import Suite, suite_names
from zslbench.experiment.suites.definition import Definition, Row, RowOptions, parse
from zslbench.experiment.suites.lines import resolve_suite
from zslbench.plugin.discovery import registry

PAGE = (ROOT / "docs" / "suites.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")


def suites(text: str) -> list[str]:
    return [one for one in blocks(text, "toml") if "[[methods]]" in one]


def resolved(text: str) -> Suite:
    suite = parse(text, Path("shown.toml"))
    assert {cell.status for cell in resolve_suite(suite, registry()).cells} == {"to run"}
    return suite


@pytest.mark.parametrize("text", [*suites(README), *suites(PAGE)])
def test_a_suite_that_is_shown_resolves(text: str) -> None:
    assert resolved(text).rows


def test_a_suite_of_ones_own_takes_ten_lines() -> None:
    (text,) = suites(README)
    assert len([line for line in text.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize(
    ("heading", "keys"),
    [
        ("Keys of a suite", set(Definition.model_fields) - set(RowOptions.model_fields)),
        ("Keys of a row", set(Row.model_fields) - set(RowOptions.model_fields)),
        ("Keys of both", set(RowOptions.model_fields)),
    ],
)
def test_every_key_is_documented(heading: str, keys: set[str]) -> None:
    documented = set()
    for row in re.findall(r"^\| (`.+?) \|", section(PAGE, f"### {heading}"), re.MULTILINE):
        documented |= {key.partition(".")[0] for key in re.findall(r"`([^`]+)`", row)}
    assert documented == keys


def test_every_packaged_suite_is_documented() -> None:
    table = PAGE.split("| suite | what |\n", 1)[1].split("\n\n", 1)[0]
    assert set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)) == set(suite_names())
