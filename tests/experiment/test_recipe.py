"""From what a user asks to components with settings: which layer wins, what is swapped, what is searched."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zslbench import Component, Method, Reading, Variant, hookimpl
from zslbench.errors import SettingsError, UnknownName, ZslbenchError
from zslbench.experiment.recipe import Recipe, resolve
from zslbench.plugin.lookup import Registry
from zslbench.testing.fakes import FakeEntryPoint, registry_with

SETTINGS = """
from zslbench import ComponentSettings
from zslbench.plugin import Epochs, SettingsGroup

class Plain(ComponentSettings):
    scale: str = "default"
    width: int = 1

class Gan(ComponentSettings):
    epochs: Epochs = 10
    lr: float = 1.0
    size: int = 5

class Part(SettingsGroup):
    rounds: Epochs = 20
    epochs: int = 2

class Vae(ComponentSettings):
    epochs: int = 9
    second: Part = Part()
    lr: float = 7.0

class Soft(ComponentSettings):
    epochs: Epochs = 3
    gamma: float = 1.0

class Closed(ComponentSettings):
    gamma: float = 1.0
"""

PARTS = (
    ("dataset", "data", None), ("dataset", "other", None), ("embedding", "plain", "Plain"),
    ("generator", "gan", "Gan"), ("generator", "vae", "Vae"), ("classifier", "soft", "Soft"),
    ("classifier", "closed", "Closed"), ("classifier", "bare", None),
)  # fmt: skip

METHODS = (
    Method(
        name="m",
        embedding="plain",
        generator="gan",
        classifier="soft",
        summary="",
        settings={"embedding.scale": "method", "generator.lr": 2.0, "generator.size": 6},
        presets="recipe_fake.presets",
        search={"classifier.gamma": (1.0, 2.0, 3.0), "generator.size": (6, 7)},
        variants=(
            Variant(name="small", summary="", settings={"generator.size": 1, "embedding.width": 9}),
            Variant(name="other", summary="", components={"generator": "vae"}),
            Variant(
                name="tuned", summary="", components={"generator": "vae"}, settings={"generator.lr": 0.5}
            ),
            Variant(
                name="bare", summary="", components={"generator": None, "classifier": "closed"}, settings={}
            ),
        ),
    ),
    Method(
        name="read",
        embedding="plain",
        generator="gan",
        classifier="soft",
        summary="",
        settings={"generator.lr": 2.0, "generator.size": 6, "embedding.width": 2},
        presets="recipe_fake.presets",
        search={"classifier.gamma": (1.0, 2.0), "embedding.width": (2, 3)},
        readings=(
            Reading(name="print", summary=""),
            Reading(
                name="code",
                summary="",
                settings={"generator.lr": 5.0, "embedding.scale": "code", "embedding.width": 7},
            ),
        ),
        variants=(
            Variant(name="full", summary="all of it"),
            Variant(name="small", summary="", settings={"embedding.scale": "small"}),
            Variant(name="other", summary="", components={"generator": "vae"}),
        ),
    ),
    Method(
        name="closed", embedding="plain", classifier="closed", summary="", group="embedding", tasks=("czsl",)
    ),
    Method(name="lame", embedding="plain", classifier="nowhere", summary=""),
)


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    package = tmp_path / "recipe_fake"
    (package / "presets").mkdir(parents=True)
    for folder in (package, package / "presets"):
        (folder / "__init__.py").touch()
    (package / "settings.py").write_text(SETTINGS, "utf-8")
    preset = "[generator]\nlr = 3.0\nsize = 8\n[embedding]\nwidth = 4\n"
    (package / "presets" / "data.toml").write_text(preset, "utf-8")
    (package / "presets" / "fast.toml").write_text("[generator]\nepochs = 2\n", "utf-8")
    (package / "presets" / "fast-code.toml").write_text("[generator]\nepochs = 1\n", "utf-8")
    twin = "[generator]\nsize = 9\n[embedding]\nwidth = 8\n"
    (package / "presets" / "other-code.toml").write_text(twin, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ZSLBENCH_DATA", str(tmp_path / "nowhere"))
    plugin: Any = types.ModuleType("recipe_fake")

    @hookimpl
    def zslbench_components() -> Any:
        for kind, name, settings in PARTS:
            yield Component(
                kind=kind,  # type: ignore[arg-type]
                name=name,
                target="nowhere:Nothing",
                summary="",
                settings=settings and f"recipe_fake.settings:{settings}",
            )

    @hookimpl
    def zslbench_methods() -> Any:
        return METHODS

    plugin.zslbench_components, plugin.zslbench_methods = zslbench_components, zslbench_methods
    yield registry_with(FakeEntryPoint("fake", "recipe_fake", plugin), installed=False, strict=False)
    for name in [one for one in sys.modules if one.startswith("recipe_fake")]:
        del sys.modules[name]


def value(recipe: Recipe, key: str) -> Any:
    kind, _, name = key.partition(".")
    return recipe.parts[kind].values()[name]  # type: ignore[index]


def test_later_layers_win(known: Registry) -> None:
    """Defaults, method, preset, variant, user: each layer over the ones before it."""
    plain = resolve(known, "other", method="m")  # no preset for this data set
    assert plain.preset is None
    assert [value(plain, f"generator.{name}") for name in ("epochs", "lr", "size")] == [10, 2.0, 6]
    assert value(plain, "embedding.scale") == "method"

    preset = resolve(known, "data", method="m")
    assert preset.preset == "data"
    assert [value(preset, f"generator.{name}") for name in ("epochs", "lr", "size")] == [10, 3.0, 8]
    assert [value(preset, f"embedding.{name}") for name in ("scale", "width")] == ["method", 4]

    variant = resolve(known, "data", method="m", variant="small")
    assert [value(variant, f"generator.{name}") for name in ("epochs", "lr", "size")] == [10, 3.0, 1]
    assert value(variant, "embedding.width") == 9

    user = {"generator.size": 2, "embedding.scale": "user"}
    last = resolve(known, "data", method="m", variant="small", settings=user, epochs=4)
    assert [value(last, f"generator.{name}") for name in ("epochs", "lr", "size")] == [4, 3.0, 2]
    assert [value(last, f"embedding.{name}") for name in ("scale", "width")] == ["user", 9]
    assert resolve(known, "data", method="m", settings={"generator.epochs": 7}, epochs=5).epochs == 5


def test_presets_asked_for(known: Registry, tmp_path: Path) -> None:
    assert value(resolve(known, "data", method="m", preset="fast"), "generator.epochs") == 2
    assert value(resolve(known, "data", method="m", preset="fast"), "generator.lr") == 2.0  # not data's too
    file = tmp_path / "mine.toml"
    file.write_text("[generator]\nlr = 9.0\n", "utf-8")
    assert value(resolve(known, "data", method="m", preset=str(file)), "generator.lr") == 9.0
    parts = {"embedding": "plain", "generator": "gan", "classifier": "soft"}
    by_hand = resolve(known, "data", components=parts, preset="m:data")
    assert (value(by_hand, "generator.lr"), by_hand.preset) == (3.0, "m:data")
    assert resolve(known, "data", components=parts).preset is None
    for preset in ("slow", "nobody:data", ":data"):
        with pytest.raises(UnknownName):
            resolve(known, "data", method="m", preset=preset)


def test_a_preset_may_stop_the_schedule_that_it_sets(known: Registry, tmp_path: Path) -> None:
    def ends(*presets: str, **options: Any) -> tuple[int | None, ...]:
        recipe = resolve(known, "data", method="m", preset=list(presets), **options)
        return recipe.epochs, recipe.until, recipe.last

    file, missing, beyond = (str(tmp_path / f"{name}.toml") for name in ("tuned", "missing", "beyond"))
    Path(file).write_text("until = 3\n[generator]\nepochs = 8\n", "utf-8")
    assert ends(file) == ends("fast", file) == (8, 3, 3)
    # Whoever sets the schedule later means all of it.
    assert ends(file, "fast") == (2, None, 2)
    assert ends(file, epochs=8) == ends(file, settings={"generator.epochs": 8}) == (8, None, 8)
    assert ends(file, variant="other") == (20, None, 20)  # another generator
    Path(missing).write_text("until = 3\n[generator]\nlr = 1.0\n", "utf-8")
    Path(beyond).write_text("until = 9\n[generator]\nepochs = 8\n", "utf-8")
    for preset in (missing, beyond):
        with pytest.raises(SettingsError, match=r"until.* generator\.epochs"):
            ends(preset)


def test_a_preset_for_another_component_is_named(known: Registry, tmp_path: Path) -> None:
    file = tmp_path / "theirs.toml"
    file.write_text("[generator]\nlr = 9.0\nlayers = 2\n", "utf-8")
    with pytest.raises(SettingsError, match=r"preset .*theirs\.toml: generator 'gan': no setting 'layers'"):
        resolve(known, "data", method="m", preset=["fast", str(file)])
    with pytest.raises(SettingsError, match=r"^generator 'gan': no setting 'layers'"):
        resolve(known, "data", method="m", preset="fast", settings={"generator.layers": 2})


def test_of_several_presets_the_later_win(known: Registry, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("[generator]\nlr = 9.0\n", "utf-8")
    recipe = resolve(known, "other", method="m", preset=["data", "fast", str(mine)])
    assert [value(recipe, f"generator.{name}") for name in ("epochs", "lr", "size")] == [2, 9.0, 8]
    assert recipe.preset == f"data + fast + {mine}"
    turned = resolve(known, "other", method="m", preset=(str(mine), "data"))
    assert value(turned, "generator.lr") == 3.0
    alone, none = (resolve(known, "data", method="m", preset=one) for one in ([], None))
    assert (alone.preset, none.preset) == ("data", "data")
    with pytest.raises(UnknownName, match="no preset 'fst', did you mean 'fast'"):
        resolve(known, "data", method="m", preset=["data", "fst"])


def test_a_reading_lies_between_the_method_and_its_presets(known: Registry) -> None:
    def read(dataset: str, **more: Any) -> tuple[Recipe, list[Any]]:
        recipe = resolve(known, dataset, method="read", **more)
        keys = ("generator.lr", "generator.size", "embedding.scale", "embedding.width")
        return recipe, [value(recipe, key) for key in keys]

    plain, values = read("other")
    assert plain.reading is not None
    assert (plain.reading.name, plain.default_reading, plain.label) == ("print", True, "read")
    assert values == [2.0, 6, "default", 2]
    assert read("other", reading="print")[0] == plain
    # The method says 2.0 and 2, the reading 5.0, 7 and a scale, data's preset 3.0, 8 and 4.
    code, values = read("data", reading="code")
    assert values == [3.0, 8, "code", 4]
    assert (code.preset, code.label) == ("data", "read [code]")
    small, values = read("data", reading="code", variant="small", settings={"generator.size": 1})
    assert values == [3.0, 1, "small", 4]
    assert small.label == "read (small) [code]"
    # The reading's own preset of this data set: over the reading, and in place of a plain one.
    own, values = read("other", reading="code")
    assert (own.preset, values) == ("other-code", [5.0, 9, "code", 8])
    assert read("other")[0].preset is None
    for name, epochs in (("print", 2), ("code", 1)):
        assert value(read("data", reading=name, preset="fast")[0], "generator.epochs") == epochs
    assert value(read("data", reading="code", preset="m:fast")[0], "generator.epochs") == 2
    assert value(read("data", preset="fast-code")[0], "generator.epochs") == 1
    swapped = resolve(known, "other", method="read", reading="code", variant="other")
    assert swapped.parts["generator"].values()["lr"] == 7.0  # what is said of gan is not said of vae


def test_what_a_reading_says_is_not_searched(known: Registry) -> None:
    def searched(**more: Any) -> list[str]:
        return list(resolve(known, "other", method="read", **more).search)

    assert searched() == ["classifier.gamma", "embedding.width"]
    assert searched(reading="code") == ["classifier.gamma"]


def test_a_variant_that_changes_nothing_is_the_method(known: Registry) -> None:
    full = resolve(known, "data", method="read", variant="full")
    assert full == resolve(known, "data", method="read")
    assert full.variant is None


def test_swapped_components_drop_what_was_meant_for_others(known: Registry) -> None:
    swapped = resolve(known, "data", method="m", variant="other")
    assert swapped.parts["generator"].name == "vae"
    assert swapped.parts["generator"].values() == {
        "epochs": 9,
        "second.rounds": 20,
        "second.epochs": 2,
        "lr": 7.0,
    }  # gan's settings are not vae's
    assert value(swapped, "embedding.width") == 4  # the others keep theirs
    assert list(swapped.search) == ["classifier.gamma"]
    assert value(resolve(known, "data", method="m", variant="tuned"), "generator.lr") == 0.5
    given = resolve(known, "data", method="m", variant="other", settings={"generator.lr": 0.1})
    assert value(given, "generator.lr") == 0.1
    without = resolve(known, "data", method="m", variant="bare")
    assert list(without.parts) == ["dataset", "embedding", "classifier"]
    assert (without.schedule, without.epochs, dict(without.search)) == (None, None, {})


def test_what_somebody_fixed_is_not_searched(known: Registry) -> None:
    def searched(**more: Any) -> dict[str, Any]:
        return dict(resolve(known, "data", method="m", **more).search)

    assert searched() == {"classifier.gamma": (1.0, 2.0, 3.0), "generator.size": (6, 7)}
    assert list(searched(settings={"classifier.gamma": 5})) == ["generator.size"]
    assert list(searched(variant="small")) == ["classifier.gamma"]
    assert searched(variant="small", settings={"classifier.gamma": 5}) == {}
    combined = list(resolve(known, "data", method="m").candidates())
    assert len(combined) == 6
    for overlay, candidate in combined:
        assert {key: value(candidate, key) for key in overlay} == overlay
    (only,) = resolve(known, "data", method="closed").candidates()
    assert only[0] == {}


def test_the_schedule_belongs_to_the_first_trained_part(known: Registry) -> None:
    recipe = resolve(known, "data", method="m", epochs=6)
    assert (recipe.schedule, recipe.paced, recipe.epochs) == ("generator.epochs", "generator", 6)
    assert value(recipe, "classifier.epochs") == 3
    trained = resolve(known, "data", components={"embedding": "plain", "classifier": "soft"}, epochs=8)
    assert (trained.schedule, trained.epochs) == ("classifier.epochs", 8)
    other = resolve(known, "data", method="m", variant="other", epochs=6)  # whatever the setting is called
    assert (other.schedule, other.paced, other.epochs) == ("generator.second.rounds", "generator", 6)
    assert (value(other, "generator.epochs"), value(other, "generator.second.epochs")) == (9, 2)
    closed = resolve(known, "data", method="closed")
    assert (closed.schedule, closed.paced, closed.epochs) == (None, None, None)
    with pytest.raises(SettingsError, match="--epochs 3: method 'closed' has no schedule"):
        resolve(known, "data", method="closed", epochs=3)


def test_a_recipe_with_other_settings_leaves_the_first_alone(known: Registry) -> None:
    recipe = resolve(known, "data", method="m")
    changed = recipe.with_settings({"generator.lr": 8, "classifier.gamma": 4})
    assert (value(changed, "generator.lr"), value(recipe, "generator.lr")) == (8.0, 3.0)
    assert changed.search == recipe.search
    for overlay in ({"generator.lrr": 1}, {"generator.lr": "fast"}, {"extractor.x": 1}, {"lr": 1}):
        with pytest.raises(SettingsError):
            recipe.with_settings(overlay)


def test_composed_by_hand(known: Registry) -> None:
    parts = {"embedding": "plain", "generator": None, "classifier": "bare"}
    recipe = resolve(known, "data", components=parts)
    assert (recipe.method, recipe.group, recipe.tasks) == ("plain+none+bare", "embedding", ("czsl", "gzsl"))
    assert recipe.parts["classifier"].values() == {}
    whole = resolve(
        known, "data", components={"embedding": "plain", "generator": "gan", "classifier": "soft"}
    )
    assert (whole.method, whole.group) == ("plain+gan+soft", "generative")
    assert value(whole, "generator.lr") == 1.0  # the component's default, no method's
    for wrong in ({}, {"embedding": "plain"}, {"classifier": "soft"}, {"generator": "gan"}):
        with pytest.raises(ZslbenchError, match="either a method or a composition"):
            resolve(known, "data", components=wrong)
    with pytest.raises(ZslbenchError, match="either a method or a composition"):
        resolve(known, "data", method="m", components={"classifier": "bare"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"dataset": "dta", "method": "m"}, "did you mean 'data'"),
        ({"dataset": "data", "method": "n"}, "no method 'n'"),
        ({"dataset": "data", "method": "m", "variant": "smal"}, "did you mean 'small'"),
        ({"dataset": "data", "method": "read", "reading": "cod"}, "no reading 'cod', did you mean 'code'"),
        ({"dataset": "data", "method": "m", "reading": "code"}, "no reading 'code', known: none"),
        ({"dataset": "data", "method": "lame"}, "no classifier 'nowhere'"),
        ({"dataset": "data", "components": {"embedding": "plan", "classifier": "soft"}}, "'plain'"),
    ],
)
def test_names_nobody_registered(known: Registry, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(UnknownName) as caught:
        resolve(known, **arguments)
    assert words in str(caught.value)


def test_plugins_that_take_part_are_named(known: Registry) -> None:
    assert [one.name for one in resolve(known, "data", method="m").plugins] == ["fake"]
