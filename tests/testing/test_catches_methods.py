"""Every check of methods catches one that breaks its rule."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest
from zsl_fakes import named

from zslbench import Component, Method, Range, Reading, Variant
from zslbench.plugin.lookup import Registry
from zslbench.testing import ConformanceError, checks_for_method
from zslbench.testing.conformance import _METHOD


def method(**more: Any) -> Method:
    values: dict[str, Any] = {
        "name": "m",
        "embedding": "identity",
        "classifier": "eszsl",
        "summary": "a fake",
    }
    return Method(**(values | more))


def variant(**more: Any) -> Variant:
    return Variant(**({"name": "v", "summary": "a fake"} | more))


def reading(**more: Any) -> Reading:
    return Reading(**({"name": "r", "summary": "a fake"} | more))


METHODS = [
    ("method_declared", method(summary=""), "the summary is empty"),
    ("components_exist", method(embedding="none-such"), "no embedding 'none-such' is registered"),
    (
        "components_exist",
        method(variants=(variant(components={"classifier": "none-such"}),)),
        "variant 'v': no classifier 'none-such' is registered",
    ),
    (
        "search_valid",
        method(tunable={"classifier.gama": Range(1, 2)}),
        "did you mean 'gamma'",
    ),
    (
        "search_valid",
        method(tunable={"classifier.gamma": Range(-1, 2)}),
        "Input should be greater than 0",
    ),
    ("settings_valid", method(settings={"classifier.gama": 1}), "no setting 'gama', did you mean 'gamma'"),
    ("presets_valid", method(presets="zsl_fakes.no_presets"), "holds no preset"),
    ("presets_valid", method(presets="zsl_fakes.presets_unknown"), "preset 'cub': classifier 'eszsl' has no"),
    ("presets_valid", method(presets="zsl_fakes.presets_wrong"), "preset 'toy': classifier 'eszsl': 'gamma'"),
    (
        "presets_valid",
        method(presets="zsl_fakes.presets_kind"),
        "preset 'cub' sets generator.lr, but the method",
    ),
    ("presets_valid", method(presets="zsl_fakes.presets_syntax"), "not valid TOML"),
    (
        "presets_valid",
        method(presets="zsl_fakes.presets_wrong", readings=(reading(), reading(name="s"))),
        "preset 'toy': classifier 'eszsl': 'gamma'",
    ),
    ("readings_resolve", method(readings=(reading(summary=""),)), "reading 'r': the summary is empty"),
    ("readings_resolve", method(readings=(reading(), reading(name="s"))), "'r' and 's' are the same"),
    (
        "readings_resolve",
        method(readings=(reading(settings={"generator.lr": 1}),)),
        "reading 'r' sets generator.lr",
    ),
    (
        "readings_resolve",
        method(readings=(reading(), reading(name="s", settings={"classifier.gamma": -1}))),
        "reading 's': classifier 'eszsl': 'gamma'",
    ),
    (
        "readings_resolve",
        method(
            readings=(reading(settings={"classifier.gamma": 2}),),
            variants=(variant(settings={"classifier.lam": -1}),),
        ),
        "reading 'r' with variant 'v': classifier 'eszsl'",
    ),
    ("variants_resolve", method(variants=(variant(summary=""),)), "variant 'v': the summary is empty"),
    ("variants_resolve", method(variants=(variant(),)), "variant 'v' changes nothing"),
    (
        "variants_resolve",
        method(variants=(variant(settings={"generator.lr": 1}),)),
        "variant 'v': setting 'generator.lr': method 'm' has no generator",
    ),
    ("explains", method(explain="zsl_fakes.words:nothing"), "has no nothing"),
    ("explains", method(explain="zsl_fakes.words:no_rows"), "returned 3"),
    (
        "explains",
        method(explain="zsl_fakes.words:of_eszsl", variants=(variant(components={"classifier": "sound"}),)),
        "failed: KeyError: 'gamma' with variant 'v'",
    ),
    (
        "explains",
        method(
            explain="zsl_fakes.words:not_of_two",
            readings=(reading(), reading(name="s", settings={"classifier.gamma": 2})),
        ),
        "failed: ValueError: two in reading 's'",
    ),
    ("explains", method(explain="zsl_fakes.heavy:explain"), "imports h5py"),
    ("published_figures", method(published="zsl_fakes:gone.csv"), "gone.csv: cannot be read"),
    (
        "published_figures",
        method(published="zsl_fakes:figures.csv", variants=(variant(name="smaller"),)),
        "published figures of 'small', did you mean 'smaller'?",
    ),
    (
        "published_figures",
        method(published="zsl_fakes:figures.csv", variants=(variant(name="small"),)),
        "published figures on sun",
    ),
    (
        "search_valid",
        method(search={"classifier.gamma": (1.0, 1.0)}),
        "a candidate of 'classifier.gamma' twice",
    ),
    ("search_valid", method(search={"classifier.gamma": (1.0, -1.0)}), "'gamma' = -1.0"),
    ("runs", method(classifier="seenonly"), "PluginError"),
    ("repeats", method(embedding="embedswithchance"), "two runs of the same seed differ in"),
    ("variants_run", method(variants=(variant(components={"classifier": "seenonly"}),)), "variant 'v': "),
]


@pytest.mark.parametrize(("check", "broken", "fault"), METHODS)
def test_broken_method_is_caught(
    plugins: Callable[..., Registry], fake_components: list[Component], check: str, broken: Method, fault: str
) -> None:
    registry = plugins(fake_components, [broken])
    checks = checks_for_method("m", registry=registry, settings={"dataset.images_per_class": 5})
    with pytest.raises(ConformanceError, match=f"method 'm' fails check '{check}'") as caught:
        named(checks, check)()
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_method_check_catches_something() -> None:
    assert {check for check, _, _ in METHODS} == {one.__name__ for one in _METHOD}


def test_figures_that_are_none_are_caught(
    plugins: Callable[..., Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = checks_for_method("m", registry=plugins([], [method()]))
    monkeypatch.setattr(
        "zslbench.testing.declared_checks.pipeline.run",
        lambda *_: types.SimpleNamespace(metrics={"acc": 0.5, "u": 0.1, "s": float("nan"), "h": 0.1}),
    )
    with pytest.raises(ConformanceError, match="s is nan"):
        named(checks, "runs")()


def test_small_settings_follow_a_swapped_component(
    plugins: Callable[..., Registry], fake_components: list[Component]
) -> None:
    """A variant without the generator is run though the settings name one of its settings."""
    full = method(
        generator="sound",
        classifier="soundexamples",
        embedding="soundregions",
        variants=(variant(components={"generator": None, "classifier": "eszsl"}),),
    )
    settings = {"generator.size": 4, "dataset.images_per_class": 5, "dataset.channels": 12}
    checks = checks_for_method("m", registry=plugins(fake_components, [full]), settings=settings)
    named(checks, "variants_run")()
    named(checks, "runs")()
