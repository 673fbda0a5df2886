"""Figures and archives on the pages in docs/ are those of the catalogue."""

from __future__ import annotations

from pages import ROOT

from zslbench_data.download.catalogue import catalogue
from zslbench_data.download.presence import region_bytes
from zslbench_data.progress import human

DOCS = ROOT / "docs"
PAGES = {one.name: one.read_text("utf-8") for one in sorted(DOCS.glob("[!_]*.md"))}


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
