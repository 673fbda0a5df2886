"""What is registered depends on names alone, never on the order in which entry points are found."""

from __future__ import annotations

import itertools
from typing import Any

from zslbench.plugin.discovery import load_registry
from zslbench.plugin.lookup import Registry


def seen(found: Registry) -> Any:
    """All that a user could notice."""
    return (
        [(one.name, one.status, one.reason) for one in found.plugins],
        [(one.declaration, one.plugin.name) for one in found.components()],
        [(one.declaration, one.plugin.name) for one in found.methods()],
    )


def test_any_order_gives_the_same(entry: Any, plugin: Any, component: Any, method: Any) -> None:
    entries = [
        entry("delta", plugin([component(name="shared"), component(name="d")])),
        entry("beta", plugin([component(name="shared")], [method("m")])),
        entry("gamma", plugin([component(name="g")], [method("m")])),
        entry("alpha", plugin([component(name="a")])),
    ]
    results = [seen(load_registry(entry_points=order)) for order in itertools.permutations(entries)]
    assert all(one == results[0] for one in results)
    plugins, components, methods = results[0]
    assert [(name, status) for name, status, _ in plugins] == [
        ("alpha", "ok"),
        ("beta", "ok"),
        ("delta", "broken"),
        ("gamma", "broken"),
    ]
    assert [(one.name, owner) for one, owner in components] == [("a", "alpha"), ("shared", "beta")]
    assert [(one.name, owner) for one, owner in methods] == [("m", "beta")]


def test_a_third_party_displaces_nothing_of_ours(entry: Any, plugin: Any, component: Any) -> None:
    ours = entry("softmax", plugin([component(name="softmax")]), "zslbench")
    theirs = entry("aaa", plugin([component(name="softmax")]), "aaa")
    found = load_registry(entry_points=[theirs, ours])
    assert found.component("classifier", "softmax").plugin.distribution == "zslbench"
    assert [one.name for one in found.broken] == ["aaa"]


def test_a_broken_plugin_takes_no_name(entry: Any, plugin: Any, component: Any) -> None:
    def fails() -> Any:
        raise ValueError("late")

    early = entry("early", plugin([component(name="wanted")], zslbench_methods=fails))
    clash = entry("first", plugin([component(name="x"), component(name="x"), component(name="wanted")]))
    late = entry("late", plugin([component(name="wanted")]))
    found = load_registry(entry_points=[early, clash, late])
    assert found.component("classifier", "wanted").plugin.name == "late"


def test_one_name_serves_each_kind(entry: Any, plugin: Any, component: Any, method: Any) -> None:
    kinds = ("dataset", "extractor", "embedding", "generator", "classifier")
    found = load_registry(
        entry_points=[entry("p", plugin([component(k, "x") for k in kinds], [method("x")]))]
    )
    assert found.broken == ()
    assert [one.declaration.kind for one in found.components()] == list(kinds)
    assert [one.name for one in found.components("generator")] == ["x"]


def test_methods_are_asked_for_after_all_components(entry: Any, plugin: Any) -> None:
    asked: list[str] = []

    def hook(text: str) -> Any:
        def asks() -> list[Any]:
            asked.append(text)
            return []

        return asks

    entries = [
        entry(name, plugin(zslbench_components=hook(f"{name} c"), zslbench_methods=hook(f"{name} m")))
        for name in ("b", "a")
    ]
    load_registry(entry_points=entries)
    assert asked == ["a c", "b c", "a m", "b m"]
