"""Every check of declarations and settings catches one that breaks its rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from zsl_fakes import named

from zslbench import Component
from zslbench.plugin.lookup import Registry
from zslbench.testing import ConformanceError, checks_for
from zslbench.testing.conformance import _DECLARED


def declared(settings: str = "settings:SoundSettings", **more: Any) -> Component:
    values = {
        "kind": "classifier",
        "name": "declared",
        "target": "zsl_fakes.classifiers:Sound",
        "summary": "a fake",
        "settings": f"zsl_fakes.{settings}",
    }
    return Component(**(values | more))


DECLARED = [
    ("declaration", declared(summary=" "), "the summary is empty"),
    ("declaration", declared(summary="a\nb"), "several lines"),
    ("declaration", declared(target="zsl_fakes.nowhere:Sound"), "cannot be imported"),
    ("declaration", declared(target="zsl_fakes.classifiers:Sund"), "has no Sund, did you mean 'Sound'?"),
    ("declaration", declared(target="zsl_fakes.embeddings:Sound"), "not a subclass of"),
    ("declaration", declared(target="zslbench.plugin.interfaces:Classifier"), "does not define fit, scores"),
    ("settings_documented", declared("settings:NoDefault"), "setting 'size' has no default"),
    ("settings_documented", declared("settings:NoDescription"), "setting 'size' has no description"),
    ("settings_documented", declared("settings:Thawed"), "Thawed is not frozen"),
    ("settings_documented", declared("settings:Lax"), "Lax accepts unknown keys"),
    ("settings_round_trip", declared("settings:Changing"), "setting 'sizes' is (1, 2), but [1, 2]"),
    (
        "cheap_to_list",
        declared("heavy:HeavySettings"),
        "importing zsl_fakes.heavy imports h5py",
    ),
]


@pytest.mark.parametrize(("check", "component", "fault"), DECLARED)
def test_broken_declaration_is_caught(
    plugins: Callable[..., Registry], check: str, component: Component, fault: str
) -> None:
    registry = plugins([component])
    given = {"size": 3} if component.settings and "NoDefault" in component.settings else {}
    checks = checks_for("classifier", "declared", registry=registry, settings=given)
    with pytest.raises(ConformanceError, match="fails check '" + check) as caught:
        named(checks, check)()
    assert fault in str(caught.value)


def test_every_declared_check_catches_something() -> None:
    assert {check for check, _, _ in DECLARED} == {one.__name__ for one in _DECLARED}


def test_a_heavy_plugin_module_is_caught(plugins: Callable[..., Registry]) -> None:
    registry = plugins([declared()], module="zsl_fakes.heavy")
    with pytest.raises(ConformanceError, match=r"importing zsl_fakes\.heavy imports h5py"):
        named(checks_for("classifier", "declared", registry=registry), "cheap_to_list")()
