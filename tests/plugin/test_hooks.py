"""One test for every hook, and a test that there is one for every hook."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import press_ctrl_c

from zslbench import Command, Executor, Tracker, hookimpl
from zslbench.errors import Interrupted
from zslbench.plugin import hookspecs
from zslbench.plugin.discovery import load_registry

ROOT = Path(__file__).resolve().parents[2]


def specifications() -> dict[str, str]:
    """Every hook's name and signature, read from the source text of ``hookspecs.py``."""
    tree = ast.parse(Path(hookspecs.__file__).read_text("utf-8"))
    return {
        node.name: f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(d) == "hookspec" for d in node.decorator_list)
    }


def test_zslbench_components(entry: Any, plugin: Any, component: Any) -> None:
    given = [component("generator", "gen"), component("classifier", "cls")]
    found = load_registry(entry_points=[entry("mine", plugin(zslbench_components=lambda: iter(given)))])
    assert [one.declaration for one in found.components()] == given
    assert {one.plugin.name for one in found.components()} == {"mine"}


def test_zslbench_methods(entry: Any, plugin: Any, component: Any, method: Any) -> None:
    given = method("own", embedding="theirs", classifier="theirs")
    others = plugin([component("embedding", "theirs"), component("classifier", "theirs")])
    found = load_registry(entry_points=[entry("mine", plugin(methods=[given])), entry("other", others)])
    assert found.method("own").declaration is given
    composition = found.composition(given)
    assert {kind: part and part.plugin.name for kind, part in composition.items()} == {
        "embedding": "other",
        "generator": None,
        "classifier": "other",
    }


def test_zslbench_run_started(listeners: Callable[..., list[Any]]) -> None:
    def started(run: Any) -> Any:
        return ("started", run)

    run = object()
    assert listeners("zslbench_run_started", started, run=run) == [("started", run)]


def test_zslbench_epoch_ended(listeners: Callable[..., list[Any]]) -> None:
    # A hook takes the arguments that it wants, in any order.
    def ended(metrics: Any, epoch: int) -> Any:
        return (epoch, dict(metrics))

    given = {"run": object(), "stage": "final/generator", "epoch": 3, "metrics": {"loss": 0.5}}
    assert listeners("zslbench_epoch_ended", ended, **given) == [(3, {"loss": 0.5})]


def test_zslbench_run_finished(listeners: Callable[..., list[Any]]) -> None:
    def finished(run: Any, record: Any) -> Any:
        return (run, record)

    assert listeners("zslbench_run_finished", finished, run="r", record="p") == [("r", "p")]


def test_zslbench_run_stopped(listeners: Callable[..., list[Any]]) -> None:
    def stopped(run: Any, error: BaseException) -> Any:
        return (run, error)

    fault = Interrupted("stopped")
    assert listeners("zslbench_run_stopped", stopped, run="r", error=fault) == [("r", fault)]


def test_zslbench_trackers(entry: Any, plugin: Any) -> None:
    given = [Tracker(name="mine", target="nowhere:Nothing", summary="a fake", requires=("not_there_at_all",))]
    modules = {
        "one": plugin(zslbench_trackers=lambda: iter(given)),
        "two": plugin(zslbench_trackers=lambda: given),
    }
    found = load_registry(entry_points=[entry(name, one) for name, one in modules.items()])
    assert [one.declaration for one in found.trackers()] == given
    assert found.tracker("mine").plugin.name == "one"
    assert [one.reason for one in found.broken] == [
        "registers tracker 'mine', which plugin 'one' already has"
    ]


def test_zslbench_executors(entry: Any, plugin: Any) -> None:
    given = [Executor(name="mine", target="nowhere:Nothing", summary="a fake", options="KEY=VALUE")]
    modules = {
        "one": plugin(zslbench_executors=lambda: iter(given)),
        "two": plugin(zslbench_executors=lambda: given),
    }
    found = load_registry(entry_points=[entry(name, one) for name, one in modules.items()])
    assert [one.declaration for one in found.executors()] == given
    assert found.executor("mine").plugin.name == "one"
    assert [one.reason for one in found.broken] == [
        "registers executor 'mine', which plugin 'one' already has"
    ]


def test_zslbench_commands(entry: Any, plugin: Any) -> None:
    given = [Command(name=name, target="nowhere:nothing", summary="a fake") for name in ("mine", "also")]
    modules = {
        "one": plugin(zslbench_commands=lambda: iter(given)),
        "two": plugin(zslbench_commands=lambda: given[1:]),
    }
    found = load_registry(entry_points=[entry(name, one) for name, one in modules.items()])
    assert [(one.declaration, one.plugin.name) for one in found.commands()] == [(c, "one") for c in given]
    assert [one.reason for one in found.broken] == [
        "registers command 'also', which plugin 'one' already has"
    ]


def test_zslbench_run_details(entry: Any, plugin: Any, caplog: pytest.LogCaptureFixture) -> None:
    def details(record: Any, store: Any) -> Any:
        yield "record", record
        yield "store", store

    def fails(record: Any) -> Any:
        yield "half", "a row"
        raise RuntimeError("broken")

    modules = {"a": fails, "b": details, "c": lambda record: None}
    entries = [entry(name, plugin(zslbench_run_details=one)) for name, one in modules.items()]
    rows = load_registry(entry_points=entries).call_hook("zslbench_run_details", store="s", record="r")
    assert [row for plugin, row in rows if plugin == "b"] == [("record", "r"), ("store", "s")]
    assert [row for plugin, row in rows if plugin == "c"] == []
    assert [record.getMessage() for record in caplog.records] == [
        "plugin 'a': zslbench_run_details failed: RuntimeError: broken"
    ]


@pytest.mark.parametrize("hook", sorted(specifications()))
def test_every_hook_has_a_test(hook: str) -> None:
    assert f"test_{hook}" in globals()


@pytest.mark.parametrize("hook", sorted(specifications()))
def test_every_hook_has_a_docstring(hook: str) -> None:
    doc = getattr(hookspecs, hook).__doc__
    assert all(word in doc for word in ("Called:", "Returns:", "Forbidden:"))


@pytest.mark.parametrize("hook", sorted(specifications()))
def test_every_hook_is_in_the_guide(hook: str) -> None:
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text("utf-8").split())
    assert specifications()[hook] in text, f"CONTRIBUTING.md lacks: {specifications()[hook]}"


def test_specifications_are_the_ones_in_use() -> None:
    marked = {name for name, one in vars(hookspecs).items() if hasattr(one, "zslbench_spec")}
    assert marked == set(specifications())
    assert len(marked) >= 5


@pytest.fixture
def listeners(entry: Any, plugin: Any, caplog: pytest.LogCaptureFixture) -> Callable[..., list[Any]]:
    """Call a hook on a plugin that fails, one that listens, and one that exits; what the listener said."""

    def call(hook: str, listener: Callable[..., Any], **kwargs: Any) -> list[Any]:
        said: list[Any] = []

        def listen(*args: Any) -> None:
            said.append(listener(*args))

        def fails(run: Any) -> None:
            raise RuntimeError("broken\nlistener")

        def leaves(run: Any) -> None:
            raise SystemExit(1)

        names = listener.__code__.co_varnames[: listener.__code__.co_argcount]
        listen = eval(f"lambda {', '.join(names)}: listen({', '.join(names)})", {"listen": listen})
        modules = {"a": fails, "b": listen, "c": leaves}
        found = load_registry(entry_points=[entry(n, plugin(**{hook: one})) for n, one in modules.items()])
        assert found.broken == ()
        with caplog.at_level(logging.WARNING, logger="zslbench"):
            found.call_hook(hook, **kwargs)
        warnings = {record.getMessage() for record in caplog.records if record.name == "zslbench"}
        assert warnings == {
            f"plugin 'a': {hook} failed: RuntimeError: broken listener",
            f"plugin 'c': {hook} failed: SystemExit: 1",
        }
        return said

    return call


def test_a_failing_listener_says_so_once(entry: Any, plugin: Any, caplog: pytest.LogCaptureFixture) -> None:
    def fails(run: Any) -> None:
        raise RuntimeError(f"about {run}")

    found = load_registry(entry_points=[entry("a", plugin(zslbench_run_started=fails))])
    for run in ("x", "x", "y", "x"):
        found.call_hook("zslbench_run_started", run=run)
    assert [record.getMessage().rpartition(" ")[2] for record in caplog.records] == ["x", "y"]


def test_a_stop_passes_through(entry: Any, plugin: Any) -> None:
    def asks(run: Any) -> None:
        raise Interrupted("now")

    for error, stops in ((KeyboardInterrupt, lambda run: press_ctrl_c()), (Interrupted, asks)):
        found = load_registry(entry_points=[entry("a", plugin(zslbench_run_started=stops))])
        with pytest.raises(error):
            found.call_hook("zslbench_run_started", run=1)


def test_a_listener_cannot_change_the_metrics(entry: Any, plugin: Any) -> None:
    seen: list[float] = []

    def meddles(metrics: Any) -> None:
        metrics["loss"] = 0.0

    def reads(metrics: Any) -> None:
        seen.append(metrics["loss"])

    modules = {"a": reads, "b": meddles, "c": reads}
    found = load_registry(
        entry_points=[entry(n, plugin(zslbench_epoch_ended=one)) for n, one in modules.items()]
    )
    metrics = {"loss": 0.5}
    found.call_hook("zslbench_epoch_ended", run=1, stage="s", epoch=1, metrics=metrics)
    assert seen == [0.5, 0.5]
    assert metrics == {"loss": 0.5}


@pytest.mark.parametrize(
    ("hook", "kwargs"),
    [
        ("zslbench_run_halted", {}),
        ("zslbench_run_started", {}),
        ("zslbench_run_started", {"run": 1, "more": 2}),
        ("zslbench_components", {}),
    ],
)
def test_a_wrong_call_is_our_fault(hook: str, kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=re.escape(hook)):
        load_registry(entry_points=[]).call_hook(hook, **kwargs)


def test_specname_and_objects_are_pluggys_own(entry: Any, component: Any) -> None:
    class Plugin:
        @hookimpl(specname="zslbench_components")
        def declare(self) -> list[Any]:
            return [component(name="odd")]

    found = load_registry(entry_points=[entry("a", Plugin())])
    assert found.component("classifier", "odd").plugin.name == "a"


def test_listeners_are_called_in_pluggys_order(entry: Any) -> None:
    said: list[str] = []

    def listener(name: str, **options: bool) -> Any:
        class Plugin:
            @hookimpl(**options)
            def zslbench_run_started(self) -> None:
                said.append(name)

        return entry(name, Plugin())

    entries = [listener("a", tryfirst=True), listener("b"), listener("c", trylast=True), listener("d")]
    load_registry(entry_points=entries).call_hook("zslbench_run_started", run=1)
    assert said == ["a", "d", "b", "c"]
