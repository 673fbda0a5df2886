"""Fake plugins: modules and entry points that live in memory."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from zslbench import Component, Method
from zslbench.testing.fakes import FakeEntryPoint, fake_plugin


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
        return fake_plugin(components=components, methods=methods, **hooks)

    return make


@pytest.fixture(scope="session")
def entry() -> Callable[..., FakeEntryPoint]:
    def make(name: str, loads: Any, dist: str | None = "somebody", value: str = "") -> FakeEntryPoint:
        found = None if dist is None else SimpleNamespace(name=dist, version="1.2")
        return FakeEntryPoint(name, value or f"{name}_module", loads, found)

    return make


@pytest.fixture(autouse=True)
def _lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZSLBENCH_STRICT_PLUGINS", raising=False)
