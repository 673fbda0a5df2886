"""Pages of suites on real data follow from their archives of runs, and the README's tables from the pages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import real
from benchmarks.common import RESULTS
from zslbench.experiment import find_suite
from zslbench.store import Store

SUITE = """
title = "Small"
datasets = "toy"
select = ["val", "oracle"]
seeds = 2
settings.dataset.images_per_class = 6
[[methods]]
method = "eszsl"
label = "signs"
seeds = 1
settings.classifier = { gamma = 1, lam = 1, coding = "pm1" }
[[methods]]
method = "eszsl"
label = "bits"
seeds = 1
settings.classifier = { gamma = 1, lam = 1, coding = "01" }
"""
PAGES = ("table.md", "analysis.md", "report.html")
MARKERS = "<!-- small: {0} -->\n{1}<!-- small: end -->\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, bytes]]:
    """Run the command; the files that there are afterwards, by name."""
    path = tmp_path / "small.toml"
    path.write_text(SUITE, "utf-8")
    monkeypatch.setattr(real, "suite_named", lambda name: find_suite(path))
    monkeypatch.setattr(real, "RESULTS", tmp_path)
    monkeypatch.setattr(real, "README", tmp_path / "README.md")
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path / "default"))

    def command(*options: str) -> dict[str, bytes]:
        monkeypatch.setattr(sys, "argv", ["real", "small", *options])
        real.main()
        return {one.name: one.read_bytes() for one in (tmp_path / "small").iterdir()}

    return command


@pytest.mark.slow
def test_everything_follows_from_the_archive(run: Callable[..., dict[str, bytes]], tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n" + MARKERS.format("table", "stale\n") + "b\n" + MARKERS.format("leak", "") + "c\n")
    computed = run("--data-root", str(tmp_path), "--store", str(tmp_path / "one"))
    assert set(computed) == {"runs.zip", *PAGES}
    text = readme.read_text("utf-8")
    first, leak = (real.block_of("small", name).search(text)[2] for name in ("table", "leak"))  # type: ignore[index]
    assert text == "a\n" + MARKERS.format("table", first) + "b\n" + MARKERS.format("leak", leak) + "c\n"
    assert first in computed["table.md"].decode() and "signs" in first and "stale" not in first
    assert b"coding = 01 instead of pm1" in computed["analysis.md"]
    assert leak in computed["analysis.md"].decode() and "bits" in leak
    # Whoever has only the archive writes the same pages.
    for name in PAGES:
        (tmp_path / "small" / name).unlink()
    assert run("--only-write") == computed
    assert not (tmp_path / "default").exists()
    # Another store takes the runs of the archive instead of computing them.
    assert run("--data-root", str(tmp_path), "--store", str(tmp_path / "two")) == computed
    records = [sorted(one.info.id for one in Store(tmp_path / name).records()) for name in ("one", "two")]
    assert records[0] == records[1]
    assert all(one.figures_only for one in Store(tmp_path / "two").records())


def test_a_part_of_the_runs_comes_first_and_the_rest_joins_it(
    run: Callable[..., dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zslbench

    (tmp_path / "README.md").touch()
    monkeypatch.setattr(real, "page", lambda report: "")  # charts take seconds
    small = tmp_path / "small.toml"
    zslbench.bench(small, methods="bits", store=tmp_path / "s", device="cpu", threads=1)
    part = run("--only-write", "--store", str(tmp_path / "s"))
    assert b"not run yet: signs" in part["table.md"]
    for record in Store(tmp_path / "s").records():
        assert f"runs/{record.info.id}/run.json".encode() in part["runs.zip"]
    other = tmp_path / "t"
    zslbench.bench(small, methods="signs", select="val", store=other, device="cpu", threads=1)
    whole = run("--only-write", "--store", str(tmp_path / "t"))
    assert whole["table.md"].count(b"| signs") > part["table.md"].count(b"| signs")
    assert whole["table.md"].count(b"| bits") == part["table.md"].count(b"| bits")


# --- what is in the repository -------------------------------------------------------------------

FOLDER = RESULTS / "real"


def test_the_readme_s_tables_are_those_of_the_results() -> None:
    """Before there are results, there is nothing between the markers."""
    text = real.README.read_text("utf-8")
    for block, name in (("table", "table.md"), ("leak", "analysis.md")):
        found = real.block_of("real", block).search(text)
        assert found is not None, block
        page = (FOLDER / name).read_text("utf-8") if FOLDER.exists() else ""
        assert found[2] in page
        assert bool(found[2]) == bool(page)


@pytest.mark.skipif(not FOLDER.exists(), reason="there are no results yet")
def test_results_are_small_and_complete() -> None:
    files = {one.name: one.stat().st_size for one in FOLDER.iterdir()}
    assert set(files) == {"runs.zip", *PAGES}
    assert sum(files.values()) < 10e6


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.exists(), reason="there are no results yet")
def test_pages_are_those_of_the_archive(tmp_path: Path) -> None:
    """If this fails after a change of the code: python -m benchmarks.real real --only-write."""
    (tmp_path / "runs.zip").write_bytes((FOLDER / "runs.zip").read_bytes())
    (readme := tmp_path / "README.md").write_text(real.README.read_text("utf-8"), "utf-8")
    real.write_results("real", tmp_path, readme)
    for name in ("table.md", "analysis.md"):
        assert (tmp_path / name).read_text("utf-8") == (FOLDER / name).read_text("utf-8"), name
    assert readme.read_text("utf-8") == real.README.read_text("utf-8")
