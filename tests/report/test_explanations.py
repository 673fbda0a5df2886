"""What a method says of a run's settings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from zslbench import Method
from zslbench.errors import PluginError
from zslbench.plugin.lookup import Registry
from zslbench.report.one_run import explain_run
from zslbench.testing.fakes import FakeEntryPoint, fake_plugin, registry_with


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Registry]:
    """A registry of one method ``m`` whose ``explain`` is this function."""

    def make(function: Any, name: str = "m") -> Registry:
        target = None if function is None else "explain_fake:explain"
        method = Method(name=name, embedding="e", classifier="c", summary="", explain=target)
        module: Any = fake_plugin("explain_fake", methods=[method])
        module.explain = function
        monkeypatch.setitem(sys.modules, "explain_fake", module)
        return registry_with(FakeEntryPoint("fake", "explain_fake", module), installed=False)

    return make


def test_it_is_told_the_settings_that_the_run_had(record: Any, known: Any) -> None:
    seen: list[Any] = []

    def explain(settings: Any) -> Any:
        seen.append({kind: dict(values) for kind, values in settings.items()})
        settings["classifier"]["lr"] = "changed"
        yield "row 1", settings["classifier"]["epochs"]
        yield ("row 2", "as printed")

    one = record(environment={"chosen": {"classifier.lr": 0.7}})
    assert explain_run(one, known(explain)) == [("row 1", "3"), ("row 2", "as printed")]
    assert seen == [
        {"dataset": {"name": "cub"}, "classifier": {"lr": 0.7, "epochs": 3}}
    ]  # chosen, not the 0.1 given
    assert one.info.identity["settings"]["classifier"]["lr"] == 0.1


def test_methods_that_say_nothing(record: Any, known: Any) -> None:
    assert explain_run(record(), known(None)) == []
    assert explain_run(record(), known(lambda settings: [("a", "b")], name="other")) == []


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda settings: settings["generator"], "explain_fake:explain failed: KeyError: 'generator'"),
        (lambda settings: ["row"], "'row'"),
        (lambda settings: [("a", "b", "c")], "('a', 'b', 'c')"),
        (lambda settings: 3, "failed: TypeError"),
        (lambda settings, more: [], "failed: TypeError"),
        ("text", "explain_fake:explain"),
    ],
)
def test_faulty_explanations(record: Any, known: Any, function: Any, words: str) -> None:
    with pytest.raises(PluginError, match="plugin 'fake': ") as caught:
        explain_run(record(), known(function))
    assert words in str(caught.value)
