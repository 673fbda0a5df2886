"""A plugin may break in many ways; each takes out that plugin whole and no other."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable
from typing import Any

import jaxtyping
import pytest
from processes import press_ctrl_c

from zslbench import Command, Component, Method, Reading, Variant, hookimpl
from zslbench.errors import PluginError, UnknownName
from zslbench.plugin.boundary import PACKAGES
from zslbench.plugin.discovery import load_registry
from zslbench.plugin.lookup import Registry

ALPHA = Component(kind="classifier", name="mine", target="a:B", summary="")
MINE = Method(name="mine-method", embedding="e", classifier="c", summary="")


def raises(error: BaseException) -> Callable[..., Any]:
    def hook() -> Any:
        raise error

    return hook


def module(**attributes: Any) -> types.ModuleType:
    made = types.ModuleType("broken_plugin")
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def half_way() -> Any:
    yield ALPHA
    raise RuntimeError("after the first")


def sound_components() -> Any:
    yield ALPHA


def hooks(**functions: Any) -> types.ModuleType:
    """A plugin whose components are sound, so that they must vanish with whatever else is broken."""
    functions.setdefault("zslbench_components", sound_components)
    return module(**{name: hookimpl(function) for name, function in functions.items()})


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def one_method(**fields: Any) -> types.ModuleType:
    made = {"name": "mine-method", "embedding": "e", "classifier": "c", "summary": ""}
    return hooks(zslbench_methods=lambda: [Method(**made | fields)])


def one_variant(**fields: Any) -> types.ModuleType:
    made = {"name": "v", "summary": ""}
    return hooks(zslbench_methods=lambda: [Variant(**made | fields)])


def one_command(**fields: Any) -> types.ModuleType:
    made = {"name": "mine-command", "target": "a:b", "summary": ""}
    return hooks(zslbench_commands=lambda: [Command(**made | fields)])


@pytest.fixture(autouse=True)
def _without_type_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only our tests check types at calls: a plugin's author may write anything."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def wrong_argument(epochs: int) -> None: ...


def wrapper(run: object) -> Any:
    yield


# name: (what the entry point loads, or the error of its import; a pattern of the reason)
BROKEN: dict[str, tuple[Any, str]] = {
    "import: error": (
        raises(ImportError("no module named rest")),
        "importing broken_module failed: ImportError",
    ),
    "import: SystemExit": (raises(SystemExit(3)), "importing broken_module failed: SystemExit: 3"),
    "import: BaseException": (raises(GeneratorExit("odd")), "GeneratorExit: odd"),
    "import: many lines": (raises(ValueError("one\n  two\nthree")), "ValueError: one two three$"),
    "import: unprintable": (raises(Unprintable()), "importing broken_module failed: Unprintable$"),
    "import: None": (lambda: None, "is None, expected a module"),
    "import: unhashable": ([], "unhashable"),
    "components: raises": (
        hooks(zslbench_components=raises(OSError("disk"))),
        "zslbench_components failed: OSError: disk",
    ),
    "components: raises half-way": (
        hooks(zslbench_components=half_way),
        "zslbench_components failed: RuntimeError: after",
    ),
    "components: SystemExit": (hooks(zslbench_components=raises(SystemExit())), "failed: SystemExit$"),
    "components: None": (
        hooks(zslbench_components=lambda: None),
        "returned None .*expected an iterable of Comp",
    ),
    "components: one alone": (
        hooks(zslbench_components=lambda: ALPHA),
        r"returned Component\(.*expected an iter",
    ),
    "components: text": (hooks(zslbench_components=lambda: "mine"), "returned 'mine' .*expected an iterable"),
    "components: no Component": (
        hooks(zslbench_components=lambda: [ALPHA, {"name": "x"}]),
        r"gave \{'name': 'x'\} \(dict\), expected a Component",
    ),
    "components: a method": (hooks(zslbench_components=lambda: [MINE]), "expected a Component"),
    "components: twice": (
        hooks(zslbench_components=lambda: [ALPHA, ALPHA]),
        "registers classifier 'mine' twice",
    ),
    "components: taken": (
        hooks(
            zslbench_components=lambda: [
                ALPHA,
                Component(kind="classifier", name="good", target="a:B", summary=""),
            ]
        ),
        "registers classifier 'good', which plugin 'a-good' already has",
    ),
    "components: malformed": (
        hooks(
            zslbench_components=lambda: [
                Component(kind="classifier", name="Bad Name", target="a:B", summary="")
            ]
        ),
        "ValueError: classifier name 'Bad Name'",
    ),
    "components: summary": (
        hooks(
            zslbench_components=lambda: [
                Component(kind="classifier", name="m", target="a:B", summary=7)  # type: ignore[arg-type]
            ]
        ),
        "classifier 'm': summary 7 is not a string",
    ),
    "methods: raises": (
        hooks(zslbench_methods=raises(KeyError("gone"))),
        "zslbench_methods failed: KeyError",
    ),
    "methods: no Method": (hooks(zslbench_methods=lambda: [ALPHA]), "expected a Method"),
    "methods: taken": (
        hooks(
            zslbench_methods=lambda: [Method(name="good-method", embedding="e", classifier="c", summary="")]
        ),
        "registers method 'good-method', which plugin 'a-good' already has",
    ),
    "methods: embedding": (
        one_method(embedding=None),
        "method 'mine-method': embedding None is not a string",
    ),
    "methods: search": (one_method(search=["x"]), "search .* is not a mapping"),
    "methods: candidates": (one_method(search={"classifier.gamma": 1.0}), "not a tuple of candidates"),
    "methods: no variant": (
        one_method(variants=({"name": "v"},)),
        r"variant \{'name': 'v'\} is not a Variant",
    ),
    "variants: components": (one_variant(components=["e"]), "variant 'v': components .* is not a mapping"),
    "variants: removes": (
        one_variant(components={"classifier": None}),
        "classifier None is not a component's name",
    ),
    "variants: summary": (one_variant(summary=None), "variant 'v': summary None is not a string"),
    "methods: explain": (one_method(explain=3), "explain 3 is not a string or None"),
    "methods: no reading": (one_method(readings=("r",)), "reading 'r' is not a Reading"),
    "readings: settings": (
        hooks(zslbench_methods=lambda: [Reading(name="r", summary="", settings=["e"])]),  # type: ignore[arg-type]
        "reading 'r': settings .* is not a mapping",
    ),
    "commands: a method": (hooks(zslbench_commands=lambda: [MINE]), "expected a Command"),
    "commands: target": (one_command(target="a.b"), "target 'a.b': write 'package.module:Name'"),
    "commands: function": (one_command(function=3), "function 3 is not a string or None"),
    "commands: twice": (
        hooks(zslbench_commands=lambda: [Command(name="x", target="a:b", summary="")] * 2),
        "registers command 'x' twice",
    ),
    "commands: taken": (
        one_command(name="good-command"),
        "registers command 'good-command', which plugin 'a-good' already has",
    ),
    "hook: unknown": (
        hooks(zslbench_epoch_end=lambda: None),
        "no hook zslbench_epoch_end, did you mean 'zslbench_epoch_ended'",
    ),
    "hook: argument": (hooks(zslbench_epoch_ended=wrong_argument), "epochs"),
    "hook: wrapper": (
        module(zslbench_run_started=hookimpl(wrapper=True)(wrapper)),
        "zslbench_run_started is a hook wrapper",
    ),
    "hook: not marked": (
        module(zslbench_methods=lambda: None),
        "zslbench_methods is not marked: write @hookimpl",
    ),
}


@pytest.fixture(params=sorted(BROKEN))
def broken(request: pytest.FixtureRequest, entry: Any) -> tuple[Any, str]:
    loads, reason = BROKEN[request.param]
    return entry("broken", loads), reason


@pytest.fixture
def good(entry: Any, plugin: Any, component: Any, method: Any) -> list[Any]:
    """Two sound plugins, one loaded before and one after the broken one."""
    command = Command(name="good-command", target="a:b", summary="")
    first = plugin([component(name="good")], [method("good-method")], zslbench_commands=lambda: [command])
    last = plugin([component(name="last")], [method("last-method")])
    return [entry("a-good", first), entry("z-good", last)]


def assert_others_work(found: Registry) -> None:
    assert [one.name for one in found.components()] == ["good", "last"]
    assert [one.name for one in found.methods()] == ["good-method", "last-method"]
    assert {one.name: one.status for one in found.plugins} == {
        "a-good": "ok",
        "broken": "broken",
        "z-good": "ok",
    }


def test_is_taken_out_whole_and_alone(broken: tuple[Any, str], good: list[Any]) -> None:
    found = load_registry(entry_points=[*good, broken[0]])
    assert_others_work(found)
    (info,) = found.broken
    assert re.search(broken[1], info.reason), info.reason
    assert "\n" not in info.reason
    assert (info.module, info.distribution, info.version) == ("broken_module", "somebody", "1.2")


def test_is_an_error_where_strict(broken: tuple[Any, str], good: list[Any]) -> None:
    with pytest.raises(PluginError, match="plugin 'broken' is broken: ") as raised:
        load_registry(strict=True, entry_points=[*good, broken[0]])
    assert re.search(broken[1].replace("$", ""), str(raised.value))


@pytest.mark.parametrize(
    ("value", "strict"), [("1", True), ("true", True), ("0", False), ("", False), ("no", False)]
)
def test_environment_asks_for_strictness(
    value: str, strict: bool, entry: Any, good: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZSLBENCH_STRICT_PLUGINS", value)
    entries = [*good, entry("broken", raises(ImportError("x")))]
    if strict:
        with pytest.raises(PluginError, match="'broken'"):
            load_registry(entry_points=entries)
    else:
        assert_others_work(load_registry(entry_points=entries))


def test_strict_names_every_broken_plugin(entry: Any) -> None:
    entries = [entry(name, raises(ImportError(f"no {name}"))) for name in ("one", "two")]
    with pytest.raises(PluginError, match=r"'one' is broken.*no one.*'two' is broken.*no two"):
        load_registry(strict=True, entry_points=entries)


def test_sound_plugins_pass_strictly(good: list[Any]) -> None:
    assert len(load_registry(strict=True, entry_points=good).plugins) == 2


def test_interrupt_is_no_fault_of_a_plugin(entry: Any, plugin: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_registry(entry_points=[entry("slow", press_ctrl_c)])
    slow = plugin(zslbench_components=lambda: press_ctrl_c())
    with pytest.raises(KeyboardInterrupt):
        load_registry(entry_points=[entry("slow", slow)])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_plugin_cannot_end_the_process(
    entry: Any, plugin: Any, good: list[Any], error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        PACKAGES, __name__.partition(".")[0], "broken"
    )  # the code that raises is the plugin's
    for broken in (raises(error("now")), plugin(zslbench_components=raises(error("now")))):
        found = load_registry(entry_points=[*good, entry("broken", broken)])
        assert [one.name for one in found.broken] == ["broken"]
        assert "now" in found.broken[0].reason


def test_lifecycle_hooks_of_a_broken_plugin_are_not_called(entry: Any) -> None:
    called: list[object] = []

    def started(run: object) -> None:
        called.append(run)

    broken = hooks(zslbench_methods=raises(ValueError()), zslbench_run_started=started)
    load_registry(entry_points=[entry("broken", broken)]).call_hook("zslbench_run_started", run=1)
    assert called == []


def test_one_module_under_two_names(entry: Any, plugin: Any, component: Any) -> None:
    both = plugin([component(name="good")])
    found = load_registry(entry_points=[entry("two", both), entry("one", both)])
    assert [(one.name, one.status) for one in found.plugins] == [("one", "ok"), ("two", "broken")]
    assert found.broken[0].reason == "two_module is already loaded as plugin 'one'"


def test_one_name_of_two_distributions(entry: Any, plugin: Any, component: Any) -> None:
    first = entry("same", plugin([component(name="good")]), "aaa")
    second = entry("same", plugin([component(name="last")]), "bbb")
    found = load_registry(entry_points=[second, first])
    assert [one.distribution for one in found.broken] == ["bbb"]
    assert "already has a plugin named 'same'" in found.broken[0].reason


def test_damaged_metadata_is_survived(entry: Any, plugin: Any, component: Any) -> None:
    class Damaged:
        @property
        def name(self) -> str:
            raise KeyError("Name")

    lost = entry("lost", plugin([component()]), None)
    damaged = type(lost)("damaged", "m:obj [extra]", plugin([component(name="beta")]), Damaged())
    found = load_registry(entry_points=[lost, damaged])
    assert [(one.distribution, one.version, one.status) for one in found.plugins] == [("", "", "ok")] * 2
    assert found.plugins[0].module == "m"


def test_printing_plugin_leaves_standard_output_alone(
    entry: Any, plugin: Any, component: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def loads() -> Any:
        sys.stdout.write("hello\n")
        return plugin([component()])

    assert load_registry(entry_points=[entry("chatty", loads)]).broken == ()
    out, err = capsys.readouterr()
    assert (out, err) == ("", "hello\n")


def test_unknown_name_tells_of_broken_plugins(entry: Any, good: list[Any]) -> None:
    found = load_registry(entry_points=[*good, entry("broken", raises(ImportError("x")))])
    with pytest.raises(
        UnknownName, match=r"no method 'mine'.*broken and left out: plugin 'broken'; see zslbench plug"
    ):
        found.method("mine")
