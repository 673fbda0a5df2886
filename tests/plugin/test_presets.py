"""Preset files and ``--set``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zslbench.errors import SettingsError, UnknownName
from zslbench.plugin.presets import (
    parse_assignment,
    parse_preset,
    preset_names,
    read_preset,
    read_preset_file,
)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("generator.lr=1e-4", "generator.lr", 1e-4),
        ("generator.lr = 0.5", "generator.lr", 0.5),
        ("generator.hidden=64", "generator.hidden", 64),
        ("generator.feedback=false", "generator.feedback", False),
        ("embedding.normalize=l2", "embedding.normalize", "l2"),
        ("embedding.normalize='l2'", "embedding.normalize", "l2"),
        ("classifier.words=a=b", "classifier.words", "a=b"),
        ("classifier.sizes=[1, 2]", "classifier.sizes", [1, 2]),
        ("embedding.normalize=none", "embedding.normalize", "none"),
        ("dataset.path=", "dataset.path", ""),
        ("dataset.date=in 2020", "dataset.date", "in 2020"),
    ],
)
def test_assignments(text: str, key: str, value: Any) -> None:
    found = parse_assignment(text)
    assert found == (key, value)
    assert type(found[1]) is type(value)


@pytest.mark.parametrize(
    "text", ["", "=1", "lr=1", "generator=1", "generator.=1", "generator.lr", "gen.lr=1"]
)
def test_what_is_no_assignment(text: str) -> None:
    with pytest.raises(SettingsError, match=r"write <kind>\.<setting>=<value>"):
        parse_assignment(text)


def test_a_preset_is_one_table_per_kind() -> None:
    text = "[generator]\nlr = 1e-4\n[classifier]\nepochs = 3\nwords = 'a'\n"
    found = parse_preset(text, "p")
    assert found.settings == {"generator.lr": 1e-4, "classifier.epochs": 3, "classifier.words": "a"}
    assert (found.name, found.until, parse_preset("", "p").settings) == ("p", None, {})
    assert parse_preset(f"until = 4\n{text}", "p").until == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("until = 0", "'until'"), ("until = '3'", "'until'"), ("until = true", "'until'"),
        ("lr = 1", "'lr' is not a table"), ("[generatr]\nlr = 1", "did you mean 'generator'"),
        ("[generator", "not valid TOML"), ("generator = 3", "'generator' is not a table"),
    ],
)  # fmt: skip
def test_what_is_no_preset(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="preset mine: ") as caught:
        parse_preset(text, "mine")
    assert words in str(caught.value)
    file = tmp_path / "p.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=str(file)):
        read_preset_file(str(file))


def test_presets_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "presets_fake"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "cub.toml").write_text("[generator]\nlr = 2.0\n", "utf-8")
    (package / "awa2.toml").write_text("", "utf-8")
    (package / "notes.txt").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert preset_names("presets_fake") == ("awa2", "cub")
    assert read_preset("presets_fake", "cub").settings == {"generator.lr": 2.0}
    with pytest.raises(UnknownName, match="no preset 'cubb', did you mean 'cub'"):
        read_preset("presets_fake", "cubb")
    for nothing in (None, "package_that_is_nowhere"):
        assert preset_names(nothing) == ()
        with pytest.raises(UnknownName):
            read_preset(nothing, "cub")


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "gone.toml", tmp_path, tmp_path / "binary.toml"):
        with pytest.raises(SettingsError, match="cannot be read"):
            read_preset_file(str(path))
