"""Finds and loads plugins. A plugin that fails anywhere is skipped entirely and listed with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import metadata
from inspect import isfunction
from typing import Any

from pluggy import PluginManager

from zslbench.errors import did_you_mean
from zslbench.plugin import hookspecs
from zslbench.plugin.boundary import PACKAGES, is_stop, one_line, printing_to_stderr
from zslbench.plugin.declarations import Command, Component, Executor, Method, Tracker
from zslbench.plugin.lookup import CORE, PluginInfo, Registered, Registry, plugin_name

_REGISTERING = {
    "zslbench_components": Component,
    "zslbench_methods": Method,
    "zslbench_trackers": Tracker,
    "zslbench_executors": Executor,
    "zslbench_commands": Command,
}
"""The hooks that register something, in calling order, and the type of the items that they return."""
_NOT_STRICT = ("", "0", "false", "no")


def registry() -> Registry:
    """The installed plugins, loaded once per process.

    Raises:
        PluginError: a plugin is broken and ``ZSLBENCH_STRICT_PLUGINS`` is set.
    """
    return _checked(_installed())


def commands() -> dict[str, Registered[Command]]:
    """The commands of working plugins by name. Broken plugins are never an error here."""
    return {one.name: one for one in _installed().commands()}


def executors() -> tuple[Registered[Executor], ...]:
    """The executors of working plugins by name. Broken plugins are never an error here."""
    return _installed().executors()


def load_registry(entry_points: Iterable[Any], *, strict: bool = False) -> Registry:
    """Load these plugins and collect what they register.

    First-party plugins (distribution ``zslbench``) are loaded first, then the others by the name of their
    entry point. So which of two plugins gets a name does not depend on the order of installation.

    Args:
        strict: a broken plugin is a PluginError, as with ``ZSLBENCH_STRICT_PLUGINS=1``.
    """
    return _checked(_load_all(entry_points), strict)


def _checked(found: Registry, strict: bool = False) -> Registry:
    if strict or os.environ.get("ZSLBENCH_STRICT_PLUGINS", "").strip().lower() not in _NOT_STRICT:
        found.require_sound()
    return found


@cache
def first_party() -> Registry:
    """The plugins of zslbench's own distribution, which claim names first; no other plugins are imported."""
    candidates = map(_Candidate.of, metadata.entry_points(group=CORE))
    return _load_all([one.entry for one in candidates if one.info.distribution.lower() == CORE])


@cache
def _installed() -> Registry:
    return _load_all(tuple(metadata.entry_points(group=CORE)))


def _load_all(entry_points: Iterable[Any]) -> Registry:
    manager = PluginManager(CORE)
    manager.add_hookspecs(hookspecs)
    candidates = sorted((_Candidate.of(entry) for entry in entry_points), key=_Candidate.order)
    taken: dict[tuple[str, str], str] = {}
    steps: dict[str, Callable[[PluginManager, _Candidate], None]] = {
        "importing {} failed: ": _import,
        "": _register,
        **{f"{hook} failed: ": partial(_collect, hook, type_) for hook, type_ in _REGISTERING.items()},
        "checking names failed: ": partial(_claim, taken),
    }
    PACKAGES.update({one.info.module.partition(".")[0]: one.info.name for one in candidates})
    with printing_to_stderr():
        for failure, step in steps.items():
            for candidate in candidates:
                candidate.attempt(step, manager, failure.format(candidate.info.module))
    registered = [Registered(one, each.info) for each in candidates for one in each.declared]
    return Registry(manager, [one.info for one in candidates], registered)


class _Fault(Exception):
    """Why a plugin is broken."""


@dataclass
class _Candidate:
    """A plugin being loaded."""

    entry: Any  # an EntryPoint of importlib.metadata, or of its backport where a library imported that
    info: PluginInfo
    plugin: Any = None
    declared: tuple[Any, ...] = ()

    @classmethod
    def of(cls, entry: Any) -> _Candidate:
        try:
            found: Any = entry.dist
            distribution, version = str(found.name or ""), str(found.version or "")
        except Exception:  # no distribution, or one whose metadata is damaged
            distribution, version = "", ""
        module = str(entry.value).partition(":")[0].partition("[")[0].strip()
        return cls(entry, PluginInfo(str(entry.name), module, distribution, version))

    def order(self) -> tuple[bool, str, str, str]:
        info = self.info
        return info.distribution.lower() != CORE, info.name, info.distribution, str(self.entry.value)

    def attempt(
        self, step: Callable[[PluginManager, _Candidate], None], manager: PluginManager, failure: str
    ) -> None:
        if self.info.status == "broken":
            return
        try:
            step(manager, self)
        except BaseException as error:  # not even SystemExit may end our process
            if is_stop(error):
                raise
            reason = str(error) if isinstance(error, _Fault) else f"{failure}{one_line(error)}"
            self.info = replace(self.info, status="broken", reason=reason)
            self.declared = ()
            if manager.get_plugin(self.key) is not None:
                manager.unregister(name=self.key)

    @property
    def key(self) -> str:
        """Its name in pluggy: unique even where two distributions use one name."""
        return f"{self.info.name} <{self.info.distribution} {self.entry.value}>"


def _import(manager: PluginManager, candidate: _Candidate) -> None:
    candidate.plugin = candidate.entry.load()


def _register(manager: PluginManager, candidate: _Candidate) -> None:
    """Register the plugin with pluggy and check its hooks."""
    plugin = candidate.plugin
    if plugin is None:
        raise _Fault(f"entry point {candidate.entry.value!r} is None, expected a module")
    hash(plugin)  # pluggy keeps plugins in sets: an unhashable one would fail later and break others
    if (other := manager.get_name(plugin)) is not None:
        raise _Fault(f"{candidate.info.module} is already loaded as plugin '{plugin_name(other)}'")
    manager.register(plugin, candidate.key)
    hooks = [name for name, spec in vars(hookspecs).items() if hasattr(spec, f"{CORE}_spec")]
    for caller in manager.get_hookcallers(plugin) or ():
        for impl in caller.get_hookimpls():
            if impl.plugin is not plugin:
                continue
            if not caller.has_spec() and not impl.optionalhook:
                raise _Fault(f"there is no hook {caller.name}, {did_you_mean(caller.name, hooks)}")
            if impl.wrapper or impl.hookwrapper:
                raise _Fault(f"{caller.name} is a hook wrapper: a plugin may not wrap the hooks of others")
    for name in hooks:
        function = getattr(plugin, name, None)
        marked = hasattr(function, f"{CORE}_impl") or hasattr(function, f"{CORE}_spec")
        if isfunction(function) and not marked:
            raise _Fault(f"{name} is not marked: write @hookimpl above it")


def _collect(hook: str, wanted: type[Any], manager: PluginManager, candidate: _Candidate) -> None:
    """Call this plugin's implementations of a registering hook and check what they return."""
    for impl in getattr(manager.hook, hook).get_hookimpls():
        if impl.plugin_name != candidate.key:
            continue
        returned = impl.function()
        if not isinstance(returned, Iterable) or isinstance(returned, str | bytes):
            raise _Fault(f"{hook} returned {_short(returned)}, expected an iterable of {wanted.__name__}")
        for one in returned:
            if not isinstance(one, wanted):
                raise _Fault(f"{hook} gave {_short(one)}, expected a {wanted.__name__}")
            candidate.declared += (one,)


def _claim(taken: dict[tuple[str, str], str], manager: PluginManager, candidate: _Candidate) -> None:
    """Reserve the plugin's names, unless one is taken. A broken plugin reserves none."""
    name = candidate.info.name
    if ("plugin", name) in taken:
        raise _Fault(f"another distribution already has a plugin named '{name}'")
    own = {("plugin", name): name}
    for one in candidate.declared:
        key = Registered(one, candidate.info).key
        if key in own:
            raise _Fault(f"registers {key[0]} '{key[1]}' twice")
        if key in taken:
            raise _Fault(f"registers {key[0]} '{key[1]}', which plugin '{taken[key]}' already has")
        own[key] = name
    taken.update(own)


def _short(value: object) -> str:
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a plugin's own __repr__
        text = ""
    return f"{text[:80]} ({type(value).__name__})"
