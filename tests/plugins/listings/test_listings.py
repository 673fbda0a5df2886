"""``zslbench methods``, ``datasets`` and ``plugins`` on plugins made for the test."""

from __future__ import annotations

import csv
import io
import json
import types
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pytest
from click.testing import CliRunner, Result

from zslbench import Component, Method, Range, Reading, Variant, hookimpl
from zslbench.cli.main import cli
from zslbench.testing.fakes import FakeEntryPoint, registry_with
from zslbench_listings import cli as listings

SETTINGS = """
from typing import Literal
from zslbench import ComponentSettings
from zslbench.plugin import Epochs

class Settings(ComponentSettings):
    lr: float = 1e-4
    "Learning rate of everything."
    mode: Literal["a_b", "c|d"] = "a_b"
    "Which mode."
    width: int | None = None
    rounds: Epochs = 5
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    package = tmp_path / "path" / "listing_fake"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(SETTINGS, "utf-8")
    (package / "cub.toml").write_text("[generator]\nlr = 0.00005\n", "utf-8")
    (package / "sun.toml").write_text("[generator]\nmode = 'c|d'\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path / "path")
    (tmp_path / "data" / "CUB").mkdir(parents=True)
    (tmp_path / "data" / "CUB" / "att_splits.mat").touch()
    (tmp_path / "data" / "Own").mkdir()
    (tmp_path / "data" / "Own" / "att_splits.mat").touch()
    monkeypatch.setenv("ZSLBENCH_DATA", str(tmp_path / "nowhere"))
    monkeypatch.delenv("ZSLBENCH_STRICT_PLUGINS", raising=False)

    fake = types.ModuleType("listing_fake")

    def part(kind: Any, name: str, **more: Any) -> Component:
        return Component(
            kind=kind, name=name, target="listing_fake.nowhere:X", summary=f"{name} & co", **more
        )

    @hookimpl
    def zslbench_components() -> Any:
        yield part("dataset", "cub", folder="CUB", paper="Wah et al. 2011")
        yield part("dataset", "toy")
        yield part("embedding", "identity")
        yield part("generator", "gan", settings="listing_fake.settings:Settings")
        yield part("classifier", "softmax")
        yield part("classifier", "odd", settings="listing_fake.settings:Nothing")

    @hookimpl
    def zslbench_methods() -> Any:
        yield Method(
            name="whole",
            embedding="identity",
            generator="gan",
            classifier="softmax",
            summary="All of it",
            paper="Somebody 2020",
            settings={"generator.width": 64},
            search={"generator.lr": (0.1, 0.01)},
            tunable={"generator.lr": Range(1e-5, 0.1, log=True)},
            presets="listing_fake",
            readings=(
                Reading(name="print", summary="as printed"),
                Reading(name="code", summary="as their code does", settings={"generator.lr": 2e-6}),
            ),
            variants=(
                Variant(name="small", summary="less", settings={"generator.lr": 1e-5}),
                Variant(name="lame", summary="lacks", components={"classifier": "sofmax"}),
            ),
        )
        yield Method(name="plain", embedding="identity", classifier="softmax", summary="", group="embedding")
        yield Method(name="odd", embedding="identity", classifier="odd", summary="")

    fake.zslbench_components = zslbench_components  # type: ignore[attr-defined]
    fake.zslbench_methods = zslbench_methods  # type: ignore[attr-defined]
    found = registry_with(
        FakeEntryPoint("fake", "listing_fake", fake, SimpleNamespace(name="listing-fake", version="3.1")),
        FakeEntryPoint("bad", "bad_module", ImportError("no [x]")),
        installed=False,
        strict=False,
    )

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, [one.replace("DATA", str(tmp_path / "data")) for one in arguments])

    # The listings alone read it: the command line itself needs the installed commands.
    monkeypatch.setattr(listings, "registry", lambda: found)
    return call


def rows(result: Result) -> dict[str, dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return {next(iter(row.values())): row for row in json.loads(result.stdout)}


def test_methods_as_json(run: Any) -> None:
    result = run("methods", "--format", "json")
    found = rows(result)
    assert list(found) == ["odd", "plain", "whole"]
    assert found["whole"] == {
        "method": "whole",
        "summary": "All of it",
        "composition": "identity + gan + softmax",
        "embedding": "identity",
        "generator": "gan",
        "classifier": "softmax",
        "variants": ["small", "lame"],
        "readings": ["print", "code"],
        "group": "generative",
        "tasks": ["czsl", "gzsl"],
        "paper": "Somebody 2020",
        "plugin": "fake",
        "distribution": "listing-fake",
        "version": "3.1",
        "status": "missing: classifier 'sofmax'",
    }
    assert (found["plain"]["generator"], found["plain"]["paper"], found["plain"]["status"]) == (
        None,
        None,
        "ok",
    )
    assert result.stderr.startswith("note: plugin 'bad' ") and "ImportError: no [x]" in result.stderr


@pytest.mark.parametrize("fmt", ["terminal", "markdown", "latex"])
def test_methods_for_people(run: Any, fmt: str) -> None:
    text = run("methods", "--format", fmt).stdout
    for part in (
        "whole",
        "identity + gan + softmax",
        "small, lame",
        "fake (listing-fake 3.1)",
        "Somebody 2020",
    ):
        assert part in text
    assert "missing: classifier 'sofmax'" in text


def test_datasets(run: Any, tmp_path: Path) -> None:
    found = rows(run("datasets", "--data-root", "DATA", "--format", "json"))
    assert {
        name: (row["plugin"], row["folder"] and Path(row["folder"]).name) for name, row in found.items()
    } == {
        "cub": ("fake", "CUB"),
        "own": ("folder", "Own"),
        "toy": ("fake", None),
    }
    assert list(rows(run("datasets", "--format", "json"))) == ["cub", "toy"]
    shown = run("datasets", "--data-root", "DATA").stdout
    assert str(tmp_path / "data" / "CUB") in shown
    assert "Wah et al. 2011" in shown


def test_plugins(run: Any) -> None:
    result = run("plugins", "--format", "csv")
    assert result.stderr == ""
    bad, fake = list(csv.DictReader(io.StringIO(result.stdout)))
    assert (bad["plugin"], bad["status"]) == ("bad", "broken")
    assert "bad_module" in bad["reason"] and "ImportError: no [x]" in bad["reason"]
    assert fake == {
        "plugin": "fake",
        "status": "ok",
        "reason": "",
        "components": "6",
        "methods": "3",
        "trackers": "0",
        "executors": "0",
        "commands": "0",
        "module": "listing_fake",
        "distribution": "listing-fake",
        "version": "3.1",
    }
    shown = run("plugins").stdout
    assert "plugin 'bad'" in shown and "ImportError: no [x]" in shown


def test_one_method_as_json(run: Any) -> None:
    result = run("methods", "whole", "--format", "json")
    found = json.loads(result.stdout)
    assert found["composition"] == "identity + gan + softmax"
    assert found["settings"] == [
        {
            "setting": "generator.lr",
            "type": "float",
            "schedule": False,
            "default": 1e-4,
            "search": [0.1, 0.01],
            "tune": "1e-05:0.1:log",
            "description": "Learning rate of everything.",
            "presets": {"cub": 5e-5},
        },
        {
            "setting": "generator.mode",
            "type": "a_b | c|d",
            "schedule": False,
            "default": "a_b",
            "search": [],
            "tune": None,
            "description": "Which mode.",
            "presets": {"sun": "c|d"},
        },
        {
            "setting": "generator.width",
            "type": "int | None",
            "schedule": False,
            "default": 64,
            "search": [],
            "tune": None,
            "description": None,
            "presets": {},
        },
        {
            "setting": "generator.rounds",
            "type": "int",
            "schedule": True,
            "default": 5,
            "search": [],
            "tune": None,
            "description": None,
            "presets": {},
        },
    ]
    assert [(one["variant"], one["settings"], one["components"]) for one in found["variants"]] == [
        ("small", {"generator.lr": 1e-5}, {}),
        ("lame", {}, {"classifier": "sofmax"}),
    ]
    assert found["readings"] == [
        {"reading": "print", "summary": "as printed", "settings": {}, "transductive": [], "default": True},
        {
            "reading": "code",
            "summary": "as their code does",
            "settings": {"generator.lr": 2e-6},
            "transductive": [],
            "default": False,
        },
    ]


def test_one_method_as_csv_is_its_settings(run: Any) -> None:
    lr, mode, width, rounds = csv.DictReader(io.StringIO(run("methods", "whole", "--format", "csv").stdout))
    assert (lr["default"], lr["cub"], lr["sun"], lr["search"]) == ("0.0001", "5e-05", "", "0.1, 0.01")
    assert (lr["tune"], mode["tune"]) == ("1e-05:0.1:log", "")
    assert (mode["sun"], width["default"]) == ("c|d", "64")
    assert (width["type"], rounds["type"]) == ("int | None", "int (schedule: --epochs)")


@pytest.mark.parametrize("fmt", ["terminal", "markdown", "latex"])
def test_one_method_for_people(run: Any, fmt: str) -> None:
    result = run("methods", "whole", "--format", fmt)
    assert result.exit_code == 0, result.output
    for part in (
        "All of it",
        "generator.lr",
        "5e-05",
        "Learning rate of everything.",
        "small",
        "generator.lr=1e-05",
        "print (default)",
        "as their code does",
        "2e-06",
    ):
        assert part in result.stdout


def test_a_method_with_broken_settings_is_still_shown(run: Any) -> None:
    result = run("methods", "odd")
    assert result.exit_code == 0
    assert "identity + – + odd" in result.stdout
    assert "classifier 'odd'" in result.stderr
    assert "did you mean 'Settings'" in result.stderr


def test_unknown_method(run: Any) -> None:
    result = run("methods", "hole")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'hole'" in result.stderr and "did you mean 'whole'?" in result.stderr


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (float | None, "float | None"),
        (Literal["l2", "minmax"], "l2 | minmax"),
        (Literal["a"] | None, "a | None"),
        (Annotated[float, "positive"], "float"),
        (tuple[int, ...], "tuple[int, ...]"),
        (dict[str, float], "dict[str, float]"),
        (list[int | None], "list[int | None]"),
        (Any, "Any"),
    ],
)
def test_types_in_words(annotation: Any, text: str) -> None:
    assert listings.type_text(annotation) == text
