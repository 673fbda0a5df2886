"""Packaged suites and a user's own."""

from __future__ import annotations

import csv
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from zslbench.errors import SettingsError, UnknownName
from zslbench.experiment import Suite, find_suite, suite_names
from zslbench.experiment.suites.lines import resolve_suite
from zslbench.plugin.discovery import registry

FOUR = "".join(f'[[methods]]\nmethod = "{one}"\n' for one in ("lab", "b", "c"))


def test_the_packaged_suites_resolve_with_the_plugins_that_are_here() -> None:
    assert suite_names() == ("classic", "ijcai22-table1", "ijcai22-table2", "quick", "real")
    for name in suite_names():
        suite = find_suite(name)
        assert suite.name == name
        assert suite.summary
        resolved = resolve_suite(suite, registry())
        assert any(cell.status == "to run" for cell in resolved.cells)
        assert resolved.remarks == ()


@pytest.mark.parametrize(("name", "lines"), [("real_features", 3), ("sc_egg", 16)])
def test_the_suites_of_the_benchmarks_resolve(name: str, lines: int) -> None:
    """They compute what the pages quote."""
    file = Path(__file__).parents[3] / "benchmarks" / f"{name}.toml"
    resolved = resolve_suite(find_suite(str(file)), registry())
    assert len(resolved.lines) == lines
    assert {cell.status for cell in resolved.cells} <= {"to run", "no data"}
    assert resolved.remarks == ()


def test_real_runs_short_schedules_and_no_transductive_reading() -> None:
    resolved = resolve_suite(find_suite("real"), registry())
    for cell in resolved.cells:
        if cell.resolved is not None and cell.line.method not in ("eszsl", "dap", "sae"):
            assert cell.recipe.preset == "cpu"
            assert not cell.recipe.transductive
    assert resolved.remarks == ()
    assert (resolved.suite.seeds, resolved.suite.select) == ((0, 1, 2), ("val", "oracle"))


def printed(source: str) -> list[str]:
    """Methods in the order in which the published results have them from a source."""
    folder = files("zslbench.experiment").joinpath("published_figures")
    text = folder.joinpath("results.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return list(dict.fromkeys(row["method"] for row in rows if row["source"] == source))


def test_table_1_has_every_row_of_the_paper_in_its_order() -> None:
    suite = find_suite("ijcai22-table1")
    assert suite.published_source is not None
    labels = [str(row.label).partition(" [")[0] for row in suite.rows]
    assert list(dict.fromkeys(labels)) == printed(suite.published_source)
    groups = [row.group for row in suite.rows]
    assert groups == sorted(groups, key=str)  # embedding, then generative
    assert (suite.datasets, suite.select) == (("cub", "sun", "awa2"), ("val", "oracle"))


def test_table_2_is_compared_with_the_printed_ablation() -> None:
    lines = resolve_suite(find_suite("ijcai22-table2"), registry()).lines
    variants = ["baseline", "no-lce", "no-gce", "no-scr", "no-egs", "full"]
    assert [one.published_variant for one in lines] == variants
    assert [one.variant for one in lines] == [*variants[:-1], None]


def test_a_file_of_ones_own(suite: Callable[..., Suite]) -> None:
    found = suite(FOUR, "seeds = [3, 1]", name="own-one")
    assert (found.name, found.title, found.seeds) == ("own-one", "own-one", (3, 1))
    assert suite(FOUR, 'name = "x"\ntitle = "T"').title == "T"


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="no suite 'quik', did you mean 'quick'"):
        find_suite("quik")
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        find_suite(tmp_path / "nowhere.toml")


def test_a_part_of_it_keeps_its_order(suite: Callable[..., Suite]) -> None:
    row = '[[methods]]\nmethod = "m"\nreadings = ["p", "c"]\n'
    whole = suite(FOUR + row, 'datasets = ["x", "y"]\nselect = ["val", "oracle"]\nseeds = 3')
    part = whole.narrowed(methods=["m [c]", "lab"], datasets=["y"], seeds=2, select=["oracle"])
    assert [one.label for one in part.rows] == ["lab", "m [c]"]
    assert (part.datasets, part.seeds, part.select) == (("y",), (0, 1), ("oracle",))
    assert [one.label for one in whole.narrowed(methods=["M"]).rows] == ["m [p]", "m [c]"]
    assert whole.narrowed(seeds=[2, 0]).seeds == (0, 2)
    assert whole.narrowed().rows == whole.rows
    for part, message in (
        ({"methods": ["lap"]}, "has no method or line 'lap', did you mean 'lab'"),
        ({"datasets": ["z"]}, "has no data set 'z', known: x, y"),
        ({"select": ["last"]}, "has no selection 'last'"),
        ({"seeds": 4}, "seeds 4: suite 'mine' has the seeds 0, 1, 2"),
        ({"seeds": [5]}, "has the seeds 0, 1, 2"),
    ):
        with pytest.raises((UnknownName, SettingsError), match=message):
            whole.narrowed(**part)  # type: ignore[arg-type]
