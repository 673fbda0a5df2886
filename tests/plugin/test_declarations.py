"""What a plugin registers is checked when it is written down."""

from __future__ import annotations

import dataclasses
from typing import Any

import jaxtyping
import pytest

from zslbench import Component, Method, Reading, Variant

PART: dict[str, Any] = {"kind": "classifier", "name": "mine", "target": "a.b:C", "summary": "s"}


@pytest.fixture(autouse=True)
def _without_type_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside the tests nothing checks types at calls: a plugin's author may write anything."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


METHOD: dict[str, Any] = {"name": "mine", "embedding": "e", "classifier": "c", "summary": "s"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "loss"}, "kind 'loss' is not one of dataset, extractor"),
        ({"name": "My Method"}, "classifier name 'My Method'"), ({"name": ""}, "name ''"),
        ({"name": "-x"}, "name '-x'"), ({"name": 3}, "name 3"),
        ({"target": "a.b.C"}, "write 'package.module:Name'"), ({"target": "a b:C"}, "target 'a b:C'"),
        ({"target": None}, "target None"), ({"settings": "Settings"}, "settings 'Settings'"),
    ],
)  # fmt: skip
def test_components(change: dict[str, Any], words: str) -> None:
    assert Component(**PART).settings is None
    with pytest.raises(ValueError, match=words):
        Component(**PART | change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Mine"}, "method name 'Mine'"), ({"group": "other"}, "group 'other'"),
        ({"tasks": ()}, r"tasks \(\)"), ({"tasks": ("zsl",)}, "'zsl'"),
        ({"settings": {"lr": 1}}, "setting 'lr'"), ({"settings": {"gen.lr": 1}}, "'gen.lr'"),
        ({"search": {"generator.": (1,)}}, "'generator.'"),
        ({"variants": (Variant(name="a", summary=""),) * 2}, "two variants share a name: a"),
        ({"readings": (Reading(name="a", summary=""),) * 2}, "two readings share a name: a"),
        ({"explain": "package.module"}, "explain 'package.module': write 'package.module:Name'"),
        ({"published": "package/file.csv"}, "published 'package/file.csv': write 'package:file.csv'"),
        ({"published": "package:file.txt"}, "write 'package:file.csv'"), ({"published": 3}, "published 3"),
    ],
)  # fmt: skip
def test_methods(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Method(**METHOD | change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "A"}, "variant name 'A'"), ({"settings": {"lr": 1}}, "variant 'v': setting 'lr'"),
        ({"components": {"dataset": "cub"}}, "component kind 'dataset'"),
    ],
)  # fmt: skip
def test_variants(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Variant(**{"name": "v", "summary": ""} | change)
    assert Variant(name="v", summary="", components={"generator": None}).components == {"generator": None}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "As printed"}, "reading name 'As printed'"),
        ({"settings": {"lr": 1}}, "reading 'r': setting"),
        ({"transductive": "test features"}, "transductive 'test features' is not a tuple"),
        ({"transductive": ("test labels",)}, "transductive 'test labels' is not one of 'test features'"),
    ],
)
def test_readings(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Reading(**{"name": "r", "summary": ""} | change)
    method = Method(
        **METHOD, readings=(Reading(name="r", summary=""),), explain="a.b:f", published="a.b:c-d.csv"
    )
    assert (method.readings[0].name, method.explain, method.published) == ("r", "a.b:f", "a.b:c-d.csv")
    leaky = Reading(name="l", summary="", transductive=("test features",))
    assert Method(**METHOD, readings=(method.readings[0], leaky)).readings[1] is leaky
    with pytest.raises(ValueError, match="'l' is transductive, so it cannot be the first"):
        Method(**METHOD, readings=(leaky, method.readings[0]))


def test_declarations_cannot_be_changed() -> None:
    for one in (
        Component(**PART),
        Method(**METHOD),
        Variant(name="v", summary=""),
        Reading(name="r", summary=""),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Method(**METHOD).settings["generator.lr"] = 1  # type: ignore[index]
