"""A registry of components that break one rule each (``fakes/zsl_fakes``), beside the sound ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from zslbench import Component, Method
from zslbench.plugin.lookup import Registry
from zslbench.testing.fakes import FakeEntryPoint, fake_plugin, registry_with

sys.path.insert(0, str(Path(__file__).parent / "fakes"))  # the fakes are named by strings, as any component

from zsl_fakes import classes


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
        plugin = fake_plugin(module, components=components, methods=methods)
        return registry_with(FakeEntryPoint("fakes", module, plugin, dist))

    return build


@pytest.fixture(scope="session")
def fake_components() -> list[Component]:
    """Every class of ``zsl_fakes`` as a component named after it."""
    return [
        Component(
            kind=kind,
            name=found.__name__.lower(),
            target=f"{found.__module__}:{found.__name__}",
            settings=f"zsl_fakes.settings:{getattr(found, 'model', 'SoundSettings')}",
            summary="a fake",
        )
        for kind, found in classes()
    ]


@pytest.fixture(scope="session")
def fakes(plugins: Callable[..., Registry], fake_components: list[Component]) -> Registry:
    """The registry with all of them."""
    return plugins(fake_components)
