"""The table of the code's size and shape counts what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import house


def test_upward_imports_and_circles_are_none() -> None:
    assert house.imports() == ([], [])


def test_a_list_of_metrics_and_a_parser_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core, plugins = tmp_path / "zslbench", tmp_path / "plugins"
    core.mkdir()
    plugins.mkdir()
    (core / "one.py").write_text('a = ["h", "u", "s"]\nb = ["h", "u"]\n')
    (plugins / "two.py").write_text('def two(path):\n    return read_mat(path, {"train_loc"})\n')
    for name, path in (("ROOT", tmp_path), ("CORE", core), ("PLUGINS", plugins)):
        monkeypatch.setattr(house, name, path)
    assert house.metric_lists() == ["zslbench/one.py:1"]
    assert house.split_parsers() == ["plugins/two.py:two"]
    assert house.lines(core, plugins) == 4


def test_features_are_followed_from_the_loader_to_the_evaluator() -> None:
    names = {name for _, name in house.feature_functions()}
    assert any("fit" in name for name in names)
    assert 10 < len(names) < 400
