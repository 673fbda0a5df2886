"""A small method with variants, readings and printed figures, registered beside the installed plugins."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from zslbench import Component, Method, Reading, Variant, hookimpl
from zslbench.cli.main import cli
from zslbench.testing.fakes import FakeEntryPoint, registry_with, using_registry

SETTINGS = """
from zslbench import ComponentSettings
from zslbench.plugin import Epochs

class Ridge(ComponentSettings):
    ridge: float = 1.0
    "Strength."
    fails: bool = False
    "Whether fit raises."

class Trained(ComponentSettings):
    epochs: Epochs = 4
    "Length."
"""

MODEL = """
import torch
from zslbench.plugin.dataset import Dataset
from zslbench.errors import DataError, MissingData
from zslbench.plugin.interfaces import Classifier, DatasetSource

class Ridge(Classifier):
    needs_examples = False

    def fit(self, view):
        if self.settings.fails:
            raise RuntimeError("it cannot\\nbe fitted")
        x, s = view.features, self.space.semantics[view.labels]
        eye = self.settings.ridge * torch.eye(x.shape[1])
        return {"ridge": {"W": torch.linalg.solve(x.T @ x + eye, x.T @ s)}}

    def scores(self, nets, features):
        return features @ nets["ridge"]["W"] @ self.space.semantics.T

class Gone(DatasetSource):
    def load(self, request):
        raise MissingData(f"data set '{request.name}'", ["it is not here"], "Get it from nowhere")

class Faulty(DatasetSource):
    def load(self, request):
        raise DataError("faulty.mat", ["no features"])

def explain(settings):
    return [("row 1", f"ridge {settings['classifier']['ridge']}"), ("row 2", "as printed")]
"""

PRINTED = """variant,dataset,acc,u,s,h,source,note
weak,TOY,80.0,10.0,20.0,13.3,Table 9,
other,TOY,10.0,10.0,20.0,13.3,Table 9,
full,TOY,70.0,30.0,40.0,34.3,Table 9,
"""

VARIANTS = (
    Variant(name="weak", summary="M w/o much", settings={"classifier.ridge": 1e5}),
    Variant(name="other", summary="M w/o ridge", components={"classifier": "eszsl"}),
)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Run a command line with method ``lab`` and data sets ``gone`` and ``faulty`` registered."""
    package = tmp_path / "path" / "lab_fake"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "settings.py").write_text(SETTINGS, "utf-8")
    (package / "model.py").write_text(MODEL, "utf-8")
    (package / "printed.csv").write_text(PRINTED, "utf-8")
    monkeypatch.syspath_prepend(tmp_path / "path")
    monkeypatch.setenv("ZSLBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("ZSLBENCH_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("COLUMNS", "400")
    plugin: Any = types.ModuleType("lab_fake")

    def components() -> Any:
        where = {"summary": "a fake", "target": "lab_fake.model:Ridge"}
        yield Component(kind="classifier", name="lab-ridge", settings="lab_fake.settings:Ridge", **where)
        for name in ("gone", "faulty"):
            target = f"lab_fake.model:{name.capitalize()}"
            yield Component(kind="dataset", name=name, target=target, summary="a fake")

    def methods() -> Any:
        more: dict[str, Any] = {"embedding": "identity", "classifier": "lab-ridge", "group": "embedding"}
        yield Method(
            name="lab",
            summary="a fake",
            variants=VARIANTS,
            readings=(
                Reading(name="print", summary="as printed"),
                Reading(name="code", summary="as their code does", settings={"classifier.ridge": 7.0}),
            ),
            explain="lab_fake.model:explain",
            published="lab_fake:printed.csv",
            **more,
        )
        fails = Variant(name="fails", summary="M w/o sense", settings={"classifier.fails": True})
        yield Method(
            name="lame", summary="a fake", variants=(Variant(name="full", summary="M"), fails), **more
        )

    plugin.zslbench_components = hookimpl(components, specname="zslbench_components")
    plugin.zslbench_methods = hookimpl(methods, specname="zslbench_methods")
    found = registry_with(FakeEntryPoint("lab", "lab_fake", plugin))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments)

    with using_registry(found):
        yield call
    for name in [one for one in sys.modules if one.startswith("lab_fake")]:
        del sys.modules[name]
