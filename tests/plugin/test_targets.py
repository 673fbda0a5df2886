"""Importing what a declaration names."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zslbench import ComponentSettings
from zslbench.errors import PluginError
from zslbench.plugin.lookup import PluginInfo, Registered
from zslbench.plugin.settings import NoSettings
from zslbench.plugin.targets import load_class, settings_model

SOURCE = """
    import sys
    from zslbench import ComponentSettings
    from zslbench.plugin.interfaces import Classifier, Generator

    class Whole(Classifier):
        needs_examples = False
        def fit(self, view): ...
        def scores(self, nets, features): ...

    class Half(Classifier):
        needs_examples = False
        def fit(self, view): ...

    class Undecided(Classifier):
        def fit(self, view): ...
        def scores(self, nets, features): ...

    class ReadsG(Whole):
        reads = "g"

    class Chosen(Generator):
        samples = property(lambda self: "inputs")
        per_class = sample_noise = None
        def fit(self, view): ...
        def sample(self, nets, semantics, noise): ...

    class Other:
        pass

    class Options(ComponentSettings):
        gamma: float = 1.0

    number = 7
"""


@pytest.fixture
def declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, component: Any
) -> Callable[..., Registered[Any]]:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "door_classes.py").write_text(textwrap.dedent(SOURCE), "utf-8")
    (tmp_path / "door_exits.py").write_text("raise SystemExit('bye')\n", "utf-8")

    def make(target: str, settings: str | None = None, kind: str = "classifier") -> Registered[Any]:
        return Registered(component(kind, "c", target=target, settings=settings), PluginInfo("mine", "m"))

    return make


def test_class_of_its_kind(declared: Any) -> None:
    assert load_class(declared("door_classes:Whole")).__name__ == "Whole"


@pytest.mark.parametrize(
    ("target", "kind", "fault"),
    [
        ("door_nowhere:Whole", "classifier", "cannot be imported: ModuleNotFoundError: No module named"),
        ("door_exits:Whole", "classifier", "cannot be imported: SystemExit: bye"),
        ("door_classes:Whol", "classifier", "module door_classes has no Whol, did you mean 'Whole'"),
        ("door_classes:number", "classifier", "not a subclass of zslbench.plugin.Classifier"),
        ("door_classes:Other", "classifier", "not a subclass of zslbench.plugin.Classifier"),
        ("door_classes:Whole", "generator", "not a subclass of zslbench.plugin.Generator"),
        ("door_classes:Half", "classifier", "does not define scores"),
    ],
)
def test_faulty_target(declared: Any, target: str, kind: str, fault: str) -> None:
    with pytest.raises(PluginError) as raised:
        load_class(declared(target, kind=kind))
    assert str(raised.value).startswith(f"plugin 'mine': {kind} 'c', {target}: ")
    assert fault in str(raised.value)


@pytest.mark.parametrize(
    ("name", "kind", "facts"),
    [
        ("Undecided", "classifier", ("needs_examples", "True", "False")),
        ("ReadsG", "classifier", ("reads", "'g'", "'inputs'", "'features'")),
        ("Chosen", "generator", ("samples", "property", "'features'", "'inputs'")),
    ],
)
def test_a_class_attribute_with_another_value_is_no_silent_default(
    declared: Any, name: str, kind: str, facts: tuple[str, ...]
) -> None:
    with pytest.raises(PluginError) as raised:
        load_class(declared(f"door_classes:{name}", kind=kind))
    assert all(fact in str(raised.value) for fact in ("plugin 'mine'", kind, *facts))


def test_settings(declared: Any) -> None:
    model = settings_model(declared("door_nowhere:X", "door_classes:Options"))
    assert issubclass(model, ComponentSettings)
    assert list(model.model_fields) == ["gamma"]
    assert settings_model(declared("door_nowhere:X")) is NoSettings


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("door_classes:Other", "not a subclass of zslbench.plugin.ComponentSettings"),
        ("door_classes:Option", "did you mean 'Options'"),
        ("door_nowhere:Options", "cannot be imported"),
    ],
)
def test_faulty_settings(declared: Any, target: str, fault: str) -> None:
    with pytest.raises(PluginError, match=f"plugin 'mine': settings of classifier 'c', {target}: .*{fault}"):
        settings_model(declared("door_classes:Whole", target))
