"""A registry of components that break one rule each (``fakes/zsl_fakes``), beside the sound ones."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from zslbench import Component, Method, hookimpl
from zslbench.plugin.discovery import load_registry
from zslbench.plugin.lookup import Registry

sys.path.insert(0, str(Path(__file__).parent / "fakes"))  # the fakes are named by strings, as any component

from zsl_fakes import classes


@dataclass(frozen=True)
class Entry:
    """An entry point whose plugin is at hand."""

    name: str
    value: str
    plugin: Any
    dist: Any = None

    def load(self) -> Any:
        return self.plugin


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def plugins() -> Callable[..., Registry]:
    """A registry of the installed plugins and one more, which registers these."""

    def build(
        components: Iterable[Component] = (),
        methods: Iterable[Method] = (),
        module: str = "zsl_fakes",
        dist: Any = None,
    ) -> Registry:
        plugin = types.ModuleType(module)
        plugin.zslbench_components = hookimpl(lambda: list(components), specname="zslbench_components")
        plugin.zslbench_methods = hookimpl(lambda: list(methods), specname="zslbench_methods")
        installed = importlib.metadata.entry_points(group="zslbench")
        return load_registry(strict=True, entry_points=[*installed, Entry("fakes", module, plugin, dist)])

    return build


@pytest.fixture(scope="session")
def fake_components() -> list[Component]:
    """Every class of ``zsl_fakes`` as a component named after it."""
    return [
        Component(
            kind=kind,
            name=found.__name__.lower(),
            target=f"{found.__module__}:{found.__name__}",
            settings="zsl_fakes.settings:SoundSettings",
            summary="a fake",
        )
        for kind, found in classes()
    ]


@pytest.fixture(scope="session")
def fakes(plugins: Callable[..., Registry], fake_components: list[Component]) -> Registry:
    """The registry with all of them."""
    return plugins(fake_components)
