"""The catalogue that ships with the package is complete, and pages quote it correctly."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest
from pages import ROOT

from zslbench.errors import UnknownName
from zslbench_data import how_to_get
from zslbench_data.download.catalogue import DOWNLOAD_PARTS, catalogue, read
from zslbench_data.download.presence import how_to_get_part, region_bytes
from zslbench_data.progress import human

KNOWN = catalogue()
COMPLETE = {"file": "a.zip", "urls": [], "page": "", "holds": "", "licence": ""}


@pytest.mark.parametrize("one", KNOWN.archives.values(), ids=lambda one: one.file)
def test_archives_can_be_fetched_and_checked(one: Any) -> None:
    for url in (*one.urls, one.page):
        assert urlsplit(url).scheme in ("http", "https")
    assert all(urlsplit(url).path.endswith(".zip" if ".zip" in one.file else "gz") for url in one.urls)
    assert one.licence
    assert one.holds
    if one.checksum:
        algorithm, _, digest = one.checksum.partition(":")
        assert re.fullmatch("[0-9a-f]+", digest)
        assert len(digest) == {"sha256": 64, "md5": 32}[algorithm]
    assert not one.exact or one.size


def test_archives_and_parts_belong_together() -> None:
    used = {part.archive for entry in KNOWN.datasets.values() for part in entry.parts}
    assert used | {one.archive for one in KNOWN.vectors.values()} == set(KNOWN.archives.values())
    assert len({one.file for one in KNOWN.archives.values()}) == len(KNOWN.archives)


@pytest.mark.parametrize("entry", KNOWN.datasets.values(), ids=lambda one: one.name)
def test_data_sets_are_complete(entry: Any) -> None:
    counts = entry.counts
    parts = {"trainval", "test_seen", "test_unseen"}
    assert counts.keys() - {"sentence"} == {"images", "classes", "unseen", "attributes", *parts}
    assert sum(counts[part] for part in parts) == counts["images"]
    for what in DOWNLOAD_PARTS:  # downloaded, or advice on what to do
        assert (entry.part(what) is None) == (what in entry.by_hand)
    assert {one.what for one in entry.parts} <= set(DOWNLOAD_PARTS)
    assert entry.part("splits").members == (f"{entry.folder}/att_splits.mat", f"{entry.folder}/res101.mat")
    # 2048 numbers of four bytes for each image, give or take
    assert 0.9 < entry.part("splits").unpacked / (counts["images"] * 2048 * 4) < 1.2
    assert set(entry.never) <= {"names", "vectors", "images"}


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="licnce"):
        read({"archives": {"a": {**COMPLETE, "licnce": "none"}}, "datasets": {}})


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r"'awa3'.* '(awa1|awa2)'"):
        KNOWN.entry("awa3")
    assert KNOWN.entry(" CUB ").name == "cub"


def test_size_of_the_papers_region_features() -> None:
    assert round(region_bytes(KNOWN.entry("sun"), width=4) / 1e9, 1) == 23.0
    assert round(region_bytes(KNOWN.entry("awa2"), width=4) / 1e9, 1) == 59.9


@pytest.mark.parametrize("name", KNOWN.datasets)
def test_advice_is_one_line_with_the_command(name: str) -> None:
    entry = KNOWN.entry(name)
    for text in (how_to_get(name), *(how_to_get_part(entry, what) for what in DOWNLOAD_PARTS)):
        assert "\n" not in text
        assert "{" not in text
    assert f"zslbench data get {name}" in how_to_get(name)
    assert how_to_get_part(entry, "images").startswith("zslbench data get") == (
        entry.part("images") is not None
    )


def test_advice_on_sun_has_command_size_and_time() -> None:
    text = how_to_get("sun")
    for part in ("zslbench data get sun", "xlsa17.zip, 920 MB", "2 minutes at 10 MB/s", "ZSLBENCH_DATA"):
        assert part in text


def test_reading_the_catalogue_imports_nothing_heavy() -> None:
    code = (
        "import sys; from zslbench_data import catalogue; catalogue();"
        "print([m for m in ('numpy', 'torch', 'requests', 'jaxtyping', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_archive_of_a_data_set_is_documented() -> None:
    page = (ROOT / "docs" / "data.md").read_text("utf-8")
    for entry in KNOWN.datasets.values():
        for part in entry.parts:
            assert part.archive.file in page


def test_documented_sizes_of_sun() -> None:
    page = (ROOT / "docs" / "from-nothing-to-sc-egg-on-sun.md").read_text("utf-8")
    sun = KNOWN.entry("sun")
    for size in (region_bytes(sun), region_bytes(sun, 4), KNOWN.archives["sun-images"].size):
        assert human(size) in page
    assert f"{sun.counts['images']:,} images" in page
    assert f"({sun.counts['attributes']} × 300)" in page
