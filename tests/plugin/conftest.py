"""Fake plugins: modules and entry points that live in memory."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from zslbench import Component, Method, hookimpl


@dataclass(frozen=True)
class FakeDistribution:
    name: str
    version: str = "1.2"


@dataclass(frozen=True)
class FakeEntry:
    """An entry point; ``plugin`` is what it loads, or a function that is called to load it."""

    name: str
    plugin: Any
    value: str
    dist: FakeDistribution | None

    def load(self) -> Any:
        return self.plugin() if isinstance(self.plugin, types.FunctionType) else self.plugin


@pytest.fixture(scope="session")
def component() -> Callable[..., Component]:
    def make(kind: str = "classifier", name: str = "alpha", **more: Any) -> Component:
        return Component(
            **{"kind": kind, "name": name, "target": "nowhere:Nothing", "summary": "a fake"} | more
        )

    return make


@pytest.fixture(scope="session")
def method() -> Callable[..., Method]:
    def make(name: str = "alpha-method", **more: Any) -> Method:
        return Method(**{"name": name, "embedding": "e", "classifier": "c", "summary": "a fake"} | more)

    return make


@pytest.fixture(scope="session")
def plugin() -> Callable[..., types.ModuleType]:
    """A plugin module that registers these components and methods and has these further hooks."""

    def make(components: Iterable[Any] = (), methods: Iterable[Any] = (), **hooks: Any) -> types.ModuleType:
        module = types.ModuleType("fake_plugin")
        hooks.setdefault("zslbench_components", lambda: list(components))
        hooks.setdefault("zslbench_methods", lambda: list(methods))
        for name, function in hooks.items():
            setattr(module, name, hookimpl(function))
        return module

    return make


@pytest.fixture(scope="session")
def entry() -> Callable[..., FakeEntry]:
    def make(name: str, loads: Any, dist: str | None = "somebody", value: str = "") -> FakeEntry:
        return FakeEntry(
            name, loads, value or f"{name}_module", None if dist is None else FakeDistribution(dist)
        )

    return make


@pytest.fixture(autouse=True)
def _lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZSLBENCH_STRICT_PLUGINS", raising=False)
