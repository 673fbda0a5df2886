"""The table of the code's size and shape counts correctly, on hand-made trees and on the real one."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from benchmarks import house


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A core of one module and a plugin of one module."""
    for name, folder in (("CORE", "zslbench"), ("PLUGINS", "plugins"), ("BENCHMARKS", "benchmarks")):
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(house, name, tmp_path / folder)
    monkeypatch.setattr(house, "ROOT", tmp_path)
    (tmp_path / "zslbench" / "one.py").write_text('a = ["h", "u", "s"]\nb = ["h", "u"]\n')
    (tmp_path / "plugins" / "two.py").write_text('def two(path):\n    return read_mat(path, {"train_loc"})\n')
    return tmp_path


@pytest.fixture
def graph() -> grimp.ImportGraph:
    """Three layers: ``core.low`` imports ``core.high``; ``core.middle`` has a circle of two modules."""
    made = grimp.ImportGraph()
    for name in ("core", "core.low", "core.middle", "core.middle.a", "core.middle.b", "core.high"):
        made.add_module(name)
    for importer, imported in (
        ("core.low", "core.high"),
        ("core.high", "core.middle"),
        ("core.middle.a", "core.middle.b"),
        ("core.middle.b", "core.middle.a"),
    ):
        made.add_import(importer=importer, imported=imported)
    return made


def test_a_circle_is_found(graph: grimp.ImportGraph) -> None:
    (found,) = house.circles(graph)
    assert found.startswith("core.middle (core.middle.") and " -> core.middle." in found
    graph.remove_import(importer="core.middle.b", imported="core.middle.a")
    assert house.circles(graph) == []


def test_an_upward_import_is_found(graph: grimp.ImportGraph) -> None:
    layers = ["core.high", "core.middle", "core.low"]
    assert house.upward_imports(graph, layers) == ["core.low -> core.high"]
    assert house.upward_imports(graph, layers[::-1]) == ["core.high -> core.middle"]


def test_the_real_tree_has_neither() -> None:
    graph, layers = house.import_graph()
    assert layers[-1] == "zslbench.errors"
    assert (house.circles(graph), house.upward_imports(graph, layers)) == ([], [])


def test_lines_metrics_and_parsers_are_counted(tree: Path) -> None:
    assert house.lines(house.CORE, house.PLUGINS) == 4
    assert [path.name for path in house.sources(house.CORE, house.PLUGINS)] == ["two.py", "one.py"]
    assert house.metric_lists() == ["zslbench/one.py:1"]
    assert house.split_parsers() == ["plugins/two.py:two"]


@pytest.mark.parametrize(("count", "found"), [(house.MANY, []), (house.MANY + 1, ["plugins/two.py:copied"])])
def test_copies_of_the_arguments_of_a_run_are_counted(tree: Path, count: int, found: list[str]) -> None:
    from zslbench.experiment import RunOptions

    known = [
        *inspect.signature(RunOptions).parameters,
        "reading",
        "settings",
        "preset",
        "epochs",
        "every",
        "features",
    ]
    arguments = ", ".join(known[:count])
    (tree / "plugins" / "two.py").write_text(f"def copied(other, *, {arguments}): ...\n")
    assert house.argument_lists() == found


def test_the_table_shows_the_first_places(
    tree: Path, graph: grimp.ImportGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "zslbench" / "one.py").write_text('a = ["h", "u", "s"]\n' * 7)
    monkeypatch.setattr(house, "import_graph", lambda: (graph, ["core.high", "core.middle", "core.low"]))
    monkeypatch.setattr(house, "feature_functions", lambda: {("a.py", "f"), ("a.py", "g"), ("b.py", "f")})
    rows = {name: (count, where) for name, count, where in house.table()}
    assert rows["lines / files of the core"] == ("7 / 1", "")
    assert rows["lines of core, plugins and benchmarks"] == ("9", "")
    assert rows["imports of a higher layer"] == ("1", "`core.low -> core.high`")
    count, where = rows["lists of metrics written by hand"]
    assert (count, where.count("`zslbench/one.py:")) == ("7", 5) and where.endswith("and 2 more")
    assert rows["functions / files that features pass through"] == ("3 / 2", "")


@pytest.mark.slow
def test_features_are_followed_from_the_loader_to_the_evaluator() -> None:
    code = "from benchmarks import house; print(*sorted(name for _, name in house.feature_functions()))"
    # A separate process, because the checks of types would slow the profiled run down tenfold.
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=house.ROOT, check=True, capture_output=True, text=True
    )
    names = found.stdout.split()
    assert any("fit" in name for name in names)
    assert 10 < len(names) < 400
