"""Suites of small methods, registered beside the installed plugins."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zslbench import Component, Method, Reading, Variant, hookimpl
from zslbench.experiment import Suite, find_suite
from zslbench.plugin.lookup import Registry
from zslbench.testing.fakes import FakeEntryPoint, registry_with, using_registry

SETTINGS = """
from zslbench import ComponentSettings

class Ridge(ComponentSettings):
    ridge: float = 1.0
    "Strength."
"""

MODEL = """
import os
from pathlib import Path

import numpy as np
import torch

from zslbench.errors import MissingData
from zslbench.plugin.interfaces import Classifier, DatasetSource
from zslbench_datasets.settings import ToySettings
from zslbench_datasets.toy import ToySource

WORLD = Path(os.environ["SUITES_WORLD"])  # files there say what happens

class Ridge(Classifier):
    needs_examples = False

    def fit(self, view):
        with (WORLD / "fits").open("a") as file:
            file.write("x")
        if (WORLD / "broken").exists():
            raise RuntimeError("it cannot\\nbe fitted")
        x, s = view.features, self.space.semantics[view.labels]
        eye = self.settings.ridge * torch.eye(x.shape[1])
        return {"ridge": {"W": torch.linalg.solve(x.T @ x + eye, x.T @ s)}}

    def scores(self, nets, features):
        return features @ nets["ridge"]["W"] @ self.space.semantics.T

class Solid(Ridge):
    def fit(self, view):
        x, s = view.features, self.space.semantics[view.labels]
        return {"ridge": {"W": torch.linalg.solve(x.T @ x + torch.eye(x.shape[1]), x.T @ s)}}

class There(DatasetSource):
    def load(self, request):
        with (WORLD / "loads").open("a") as file:
            file.write("x")
        if (WORLD / "gone").exists():
            raise MissingData(f"data set '{request.name}'", ["it is not here"], "Get it from nowhere")
        if (WORLD / "spoilt").exists():
            raise ValueError("spoilt")
        seed = 7 if (WORLD / "other").exists() else 0
        return ToySource(ToySettings(images_per_class=6, seed=seed)).load(request)
"""

VARIANTS = (
    Variant(name="weak", summary="s", settings={"classifier.ridge": 1e5}),
    Variant(name="solid", summary="s", components={"classifier": "lab-solid"}),
)
READINGS = (
    Reading(name="print", summary="s"),
    Reading(name="code", summary="s", settings={"classifier.ridge": 7.0}),
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files say what happens to the fakes; ``fits`` and ``loads`` in it count."""
    folder = tmp_path / "world"
    folder.mkdir()
    monkeypatch.setenv("SUITES_WORLD", str(folder))
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("ZSLBENCH_DATA", str(tmp_path / "nowhere"))
    return folder


@pytest.fixture
def known(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The installed plugins, method ``lab`` and data set ``there``."""
    package = tmp_path / "path" / "suites_fake"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(SETTINGS, "utf-8")
    (package / "model.py").write_text(MODEL, "utf-8")
    monkeypatch.syspath_prepend(tmp_path / "path")
    plugin: Any = types.ModuleType("suites_fake")

    def components() -> Any:
        where = {"summary": "a fake", "settings": "suites_fake.settings:Ridge"}
        yield Component(kind="classifier", name="lab-ridge", target="suites_fake.model:Ridge", **where)
        yield Component(
            kind="classifier", name="lab-solid", summary="a fake", target="suites_fake.model:Solid"
        )
        yield Component(kind="dataset", name="there", summary="a fake", target="suites_fake.model:There")

    def methods() -> Any:
        more: dict[str, Any] = {"embedding": "identity", "group": "embedding", "summary": "a fake"}
        yield Method(name="lab", classifier="lab-ridge", variants=VARIANTS, readings=READINGS, **more)
        yield Method(name="wanting", classifier="nobody-s", **more)

    plugin.zslbench_components = hookimpl(components, specname="zslbench_components")
    plugin.zslbench_methods = hookimpl(methods, specname="zslbench_methods")
    found = registry_with(FakeEntryPoint("lab", "suites_fake", plugin))
    with using_registry(found):
        yield found
    for name in [one for one in sys.modules if one.startswith("suites_fake")]:
        del sys.modules[name]


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., Suite]:
    """A suite of this text, as a user's file; ``datasets`` and ``select`` where it says nothing of them."""

    def make(rows: str, head: str = "", name: str = "mine") -> Suite:
        for key, value in (("datasets", '"there"'), ("select", '"last"')):
            if f"{key} =" not in head:
                head = f"{key} = {value}\n{head}"
        path = tmp_path / f"{name}.toml"
        path.write_text(f"{head}\n{rows}", "utf-8")
        return find_suite(path)

    return make
