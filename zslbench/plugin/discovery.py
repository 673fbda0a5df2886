"""Loads plugins one by one. A plugin that fails anywhere is taken out whole and listed with its reason."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import metadata
from inspect import isfunction
from typing import Any, Protocol, TypeVar, runtime_checkable

from pluggy import PluginManager

from zslbench.errors import did_you_mean
from zslbench.plugin import hookspecs
from zslbench.plugin.declarations import Command, Component, Method, Tracker
from zslbench.plugin.info import CORE, PluginInfo, Registered, one_line, plugin_name
from zslbench.plugin.lookup import Registry
from zslbench.plugin.validate import faults

STRICT_VARIABLE = "ZSLBENCH_STRICT_PLUGINS"

T = TypeVar("T", Command, Component, Method, Tracker)


@runtime_checkable
class EntryPointLike(Protocol):
    """The part of :class:`importlib.metadata.EntryPoint` that loading needs."""

    @property
    def name(self) -> str: ...

    @property
    def value(self) -> str: ...

    @property
    def dist(self) -> Any: ...

    def load(self) -> Any: ...


def load_registry(*, strict: bool = False, entry_points: Iterable[EntryPointLike] | None = None) -> Registry:
    """Load every plugin and collect what it registers.

    First-party plugins (distribution ``zslbench``) come first, then the others by the name of their entry
    point; so who keeps a name that two plugins want depends on neither installation nor file system.

    Args:
        strict: a broken plugin is an error. ``ZSLBENCH_STRICT_PLUGINS=1`` asks for the same.
        entry_points: the plugins to load; None: the installed ones of group ``zslbench``.

    Raises:
        PluginError: ``strict``, and a plugin is broken; names every broken plugin and its fault.
    """
    result = _load_all(tuple(metadata.entry_points(group=CORE) if entry_points is None else entry_points))
    if strict or strict_wanted():
        result.require_sound()
    return result


def registry() -> Registry:
    """The installed plugins, loaded once per process.

    Raises:
        PluginError: a plugin is broken and ``ZSLBENCH_STRICT_PLUGINS`` is set.
    """
    found = _installed()
    if strict_wanted():  # asked at each call: it must not depend on who loaded the plugins first
        found.require_sound()
    return found


def commands() -> dict[str, Registered[Command]]:
    """The commands of sound plugins by name, also where a broken plugin is an error for what follows."""
    return {one.name: one for one in _installed().commands()}


@cache
def _installed() -> Registry:
    return _load_all(tuple(metadata.entry_points(group=CORE)))


def _load_all(entry_points: Iterable[EntryPointLike]) -> Registry:
    manager = PluginManager(CORE)
    manager.add_hookspecs(hookspecs)
    candidates = sorted((_Candidate.of(entry) for entry in entry_points), key=_Candidate.order)
    taken: dict[tuple[str, str], str] = {}
    steps: list[Callable[[PluginManager, _Candidate], None]] = [
        _load,
        partial(_collect, "zslbench_components", Component),
        partial(_collect, "zslbench_methods", Method),
        partial(_collect, "zslbench_trackers", Tracker),
        partial(_collect, "zslbench_commands", Command),
        partial(_claim, taken),
    ]
    # A plugin that prints while it is imported must not end up in a table on standard output.
    with contextlib.redirect_stdout(sys.stderr):
        for step in steps:
            for candidate in candidates:
                candidate.attempt(step, manager)
    return Registry(manager, [one.info for one in candidates], [x for one in candidates for x in one.given])


def strict_wanted() -> bool:
    """Whether ``ZSLBENCH_STRICT_PLUGINS`` makes a broken plugin an error."""
    return os.environ.get(STRICT_VARIABLE, "").strip().lower() not in ("", "0", "false", "no")


class _Fault(Exception):
    """What is wrong with a plugin, in our words."""


@dataclass
class _Candidate:
    """A plugin on its way in."""

    entry: EntryPointLike
    info: PluginInfo
    given: tuple[Registered[Any], ...] = ()
    declared: tuple[Command | Component | Method | Tracker, ...] = ()

    @classmethod
    def of(cls, entry: EntryPointLike) -> _Candidate:
        try:
            distribution, version = str(entry.dist.name or ""), str(entry.dist.version or "")
        except Exception:  # no distribution, or one whose metadata is damaged
            distribution, version = "", ""
        module = str(entry.value).partition(":")[0].partition("[")[0].strip()
        return cls(entry, PluginInfo(str(entry.name), module, distribution, version))

    def order(self) -> tuple[bool, str, str, str]:
        info = self.info
        third_party = info.distribution.lower() != CORE
        return third_party, info.name, info.distribution, str(self.entry.value)

    def attempt(self, step: Callable[[PluginManager, _Candidate], None], manager: PluginManager) -> None:
        if self.info.status == "broken":
            return
        try:
            step(manager, self)
        except KeyboardInterrupt:
            raise
        except _Fault as fault:
            self._drop(manager, str(fault))
        except BaseException as error:  # SystemExit and its like must not end our process either
            self._drop(manager, one_line(error))

    def _drop(self, manager: PluginManager, reason: str) -> None:
        self.info = replace(self.info, status="broken", reason=reason)
        self.given = self.declared = ()
        if manager.get_plugin(self.key) is not None:
            manager.unregister(name=self.key)

    @property
    def key(self) -> str:
        """The name under which pluggy knows it: unique even where two distributions use one name."""
        return f"{self.info.name} <{self.info.distribution} {self.entry.value}>"


def _load(manager: PluginManager, candidate: _Candidate) -> None:
    try:
        plugin = candidate.entry.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _Fault(f"importing {candidate.info.module} failed: {one_line(error)}") from None
    if plugin is None:
        raise _Fault(f"entry point {candidate.entry.value!r} is None, expected a module")
    hash(plugin)  # pluggy keeps plugins in sets: an unhashable one would fail later, at others' cost
    other = manager.get_name(plugin)
    if other is not None:
        raise _Fault(f"{candidate.info.module} is already loaded as plugin '{plugin_name(other)}'")
    manager.register(plugin, candidate.key)
    for caller in manager.get_hookcallers(plugin) or ():
        for impl in caller.get_hookimpls():
            if impl.plugin is not plugin:
                continue
            if not caller.has_spec() and not impl.optionalhook:
                raise _Fault(f"there is no hook {caller.name}, {did_you_mean(caller.name, hook_names())}")
            if impl.wrapper or impl.hookwrapper:
                raise _Fault(f"{caller.name} is a hook wrapper: a plugin may not wrap the hooks of others")
    for name in hook_names():
        function = getattr(plugin, name, None)
        marked = hasattr(function, f"{CORE}_impl") or hasattr(function, f"{CORE}_spec")
        if isfunction(function) and not marked:
            raise _Fault(f"{name} is not marked: write @hookimpl above it")


def hook_names() -> tuple[str, ...]:
    """The names of all hooks, in the order of their specifications."""
    return tuple(name for name, spec in vars(hookspecs).items() if hasattr(spec, f"{CORE}_spec"))


def _collect(hook: str, wanted: type[T], manager: PluginManager, candidate: _Candidate) -> None:
    """What this plugin's implementations of one registering hook give, checked one by one."""
    for impl in getattr(manager.hook, hook).get_hookimpls():
        if impl.plugin_name != candidate.key:
            continue
        try:
            returned = impl.function()
            if isinstance(returned, str | bytes) or not isinstance(returned, Iterable):
                raise _Fault(f"returned {_short(returned)}, expected an iterable of {wanted.__name__}")
            given = list(returned)
        except KeyboardInterrupt:
            raise
        except _Fault as fault:
            raise _Fault(f"{hook} {fault}") from None
        except BaseException as error:
            raise _Fault(f"{hook} failed: {one_line(error)}") from None
        for one in given:
            if not isinstance(one, wanted):
                raise _Fault(f"{hook} gave {_short(one)}, expected a {wanted.__name__}")
        wrong = [fault for one in given for fault in faults(one)]
        if wrong:
            raise _Fault(f"{hook}: " + "; ".join(wrong))
        candidate.declared += tuple(given)


def _claim(taken: dict[tuple[str, str], str], manager: PluginManager, candidate: _Candidate) -> None:
    """Give the plugin its names, unless one is taken; a broken plugin thus takes none."""
    own: dict[tuple[str, str], str] = {("plugin", candidate.info.name): candidate.info.name}
    if ("plugin", candidate.info.name) in taken:
        raise _Fault(f"another distribution already has a plugin named '{candidate.info.name}'")
    for one in candidate.declared:
        key = (one.kind if isinstance(one, Component) else type(one).__name__.lower(), one.name)
        if key in own:
            raise _Fault(f"registers {key[0]} '{key[1]}' twice")
        if key in taken:
            raise _Fault(f"registers {key[0]} '{key[1]}', which plugin '{taken[key]}' already has")
        own[key] = candidate.info.name
    taken.update(own)
    candidate.given = tuple(Registered(one, candidate.info) for one in candidate.declared)


def _short(value: object) -> str:
    try:
        text = " ".join(repr(value).split())
    except Exception:  # somebody else's __repr__
        text = ""
    return f"{text[:80]} ({type(value).__name__})"
