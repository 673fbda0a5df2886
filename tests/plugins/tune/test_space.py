"""The text of ``--search``, and its validation against the components' settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from zslbench import Options, Range
from zslbench.errors import SettingsError
from zslbench.experiment.recipe import resolve
from zslbench.plugin.discovery import registry
from zslbench_tune.space import parse_search, space_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("generator.lr=1e-5:1e-3:log", Range(1e-5, 1e-3, log=True)),
        (" generator.a1 = 0 : 1 ", Range(0, 1)),
        ("generator.a1=0:1:0.25", Range(0, 1, step=0.25)),
        ("generator.hidden=256,512", Options((256, 512))),
        ("embedding.normalize=minmax,l2", Options(("minmax", "l2"))),
        ("generator.feedback=true,false", Options((True, False))),
        ("generator.latent=none,16", Options(("none", 16))),
        ("generator.penalty_bounds=[1e-8, 1e8],[1, 2]", Options(([1e-8, 1e8], [1, 2]))),
        ("a.b=x:y,z", Options(("x:y", "z"))),
    ],
)
def test_texts(text: str, found: Any) -> None:
    key, of = parse_search(text)
    assert key == text.partition("=")[0].strip()
    assert of == found


@settings(max_examples=30)
@given(st.floats(1e-9, 1.0, allow_subnormal=False), st.floats(1.5, 1e6), st.sampled_from([None, "log"]))
def test_a_range_written_out_is_read_back(low: float, high: float, scale: str | None) -> None:
    given = Range(low, high, log=scale == "log")
    assert parse_search(f"generator.lr={given}") == ("generator.lr", given)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("generator.lr", "write KIND.NAME="),
        ("lr=1:2", "write KIND.NAME="),
        ("generator.lr=", "write KIND.NAME="),
        ("generator.lr=1e-4", "--set"),
        ("generator.lr=2:1", "range 2:1"),
        ("generator.lr=0:1:log", "range 0:1:log"),
        ("generator.lr=1:2:logg", "'logg'"),
        ("generator.lr=1:2:9", "step 9"),
        ("generator.lr=1:inf", "inf"),
    ],
)
def test_malformed_texts(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match="--search") as caught:
        parse_search(text)
    assert words in str(caught.value)


@pytest.fixture(scope="module")
def recipe() -> Any:
    return resolve(registry(), "toy", method="tf-vaegan")


def space(recipe: Any, *texts: str, fixed: Any = None) -> Any:
    return space_of(recipe, requested=dict(map(parse_search, texts)), tunable={}, fixed=fixed or {})


def test_integers_and_floats(recipe: Any) -> None:
    lr, hidden, a1, latent = space(
        recipe,
        "generator.lr=1:2",
        "generator.hidden=8:64:log",
        "generator.a1=0:1:0.5",
        "generator.latent=2:4",
    ).specs.values()
    assert [type(one.low) for one in (lr, hidden, a1, latent)] == [float, int, float, int]
    assert [type(one.high) for one in (lr, hidden, a1, latent)] == [float, int, float, int]


def test_options_are_converted_to_the_types_of_settings(recipe: Any) -> None:
    found = space(
        recipe, "generator.latent=none,16", "generator.penalty_bounds=[1, 2],none", "generator.lr=1,2"
    )
    assert list(found.specs.values()) == [
        Options((None, 16)), Options(([1.0, 2.0], None)), Options((1.0, 2.0)),
    ]  # fmt: skip
    for bounds, value in (("[1.0, 2.0]", [1.0, 2.0]), (None, None)):
        choices = {"generator.latent": 16, "generator.penalty_bounds": bounds, "generator.lr": 1.0}
        assert found.values(choices) == choices | {"generator.penalty_bounds": value}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("generator.lrr=1:2", "did you mean 'lr'"),
        ("generater.lr=1:2", "embedding, generator, classifier"),
        ("generator.lr=-1:2", "-1: Input should be greater than 0"),
        ("generator.hidden=8.5:64", "8.5: Input should be a valid integer"),
        ("generator.hidden=8,x", "'x': Input should be a valid integer"),
        ("generator.feedback=0:1", "generator.feedback=A,B"),
        ("generator.hidden=8:64:0.5", "0.5"),
        ("embedding.normalize=l2,l3", "'l3': Input should be 'minmax'"),
        ("generator.hidden=8,8.0", "generator.hidden=8,8"),
        ("generator.epochs=1:9", "--epochs"),
        ("dataset.classes=10:20", "data set"),
    ],
)
def test_values_that_settings_refuse(recipe: Any, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        space(recipe, text)
    assert words in str(caught.value)


def test_searched_and_set_at_once(recipe: Any) -> None:
    with pytest.raises(SettingsError, match=r"generator\.lr"):
        space(recipe, "generator.lr=1:2", fixed={"generator.lr": 1.0})


def test_the_space_without_a_request(recipe: Any) -> None:
    declared = {"generator.lr": Range(1, 2), "generator.a1": Range(0, 1), "nothing.x": Range(0, 1)}
    found = space_of(recipe, requested={}, tunable=declared, fixed={"generator.a1": 0.5})
    assert (list(found.as_dict()), found.origin) == (["generator.lr"], "tunable")
    eszsl = resolve(registry(), "toy", method="eszsl", settings={"classifier.gamma": 1.0})
    found = space_of(eszsl, requested={}, tunable={}, fixed={"classifier.gamma": 1.0})
    assert (list(found.as_dict()), found.origin) == (["classifier.lam", "classifier.coding"], "search")
    with pytest.raises(SettingsError, match="--search"):
        space_of(recipe, requested={}, tunable={}, fixed={})


@pytest.mark.parametrize("name", [one.name for one in registry().methods() if one.declaration.tunable])
def test_first_party_methods_declare_their_own_settings(name: str) -> None:
    declared = registry().method(name).declaration
    for reading in (None, *(one.name for one in declared.readings)):
        recipe = resolve(registry(), "toy", method=name, reading=reading)
        found = space_of(recipe, requested={}, tunable=declared.tunable, fixed={})
        assert list(found.as_dict()) == list(declared.tunable)


@pytest.mark.parametrize(
    "wrong", [{"low": 1, "high": 1}, {"low": 0, "high": 1, "log": True}, {"low": True, "high": 2},
              {"low": 1, "high": 2, "log": True, "step": 1}, {"low": 1, "high": float("nan")}],
)  # fmt: skip
def test_malformed_declarations(wrong: Any) -> None:
    with pytest.raises(ValueError, match="range"):
        Range(**wrong)
    with pytest.raises(ValueError, match="two or more"):
        Options((1,))
