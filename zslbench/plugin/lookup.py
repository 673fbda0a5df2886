"""The registry: every plugin, what it registered, lookups by name, and calls of hooks."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar

from pluggy import PluginManager

from zslbench.errors import PluginError, UnknownName, did_you_mean
from zslbench.plugin import hookspecs
from zslbench.plugin.boundary import is_stop, one_line, printing_to_stderr
from zslbench.plugin.declarations import KINDS, Command, Component, Executor, Kind, Method, Tracker, Variant

CORE = "zslbench"
"""Name of the core's package, of its distribution and of the entry-point group."""

DeclarationT = TypeVar("DeclarationT", Command, Component, Executor, Method, Tracker)

_STAGES: tuple[Kind, ...] = ("embedding", "generator", "classifier")
_log = logging.getLogger(CORE)


@dataclass(frozen=True)
class PluginInfo:
    """One plugin. ``distribution`` and ``version`` may be unknown, then they are empty."""

    name: str
    module: str
    distribution: str = ""
    version: str = ""
    status: Literal["ok", "broken"] = "ok"
    reason: str = ""
    """Why it is broken, one line."""

    @property
    def origin(self) -> str:
        """Plugin, distribution and version: ``"classic (zslbench 0.1.0)"``."""
        return f"{self.name} ({self.distribution} {self.version})" if self.distribution else self.name

    @cached_property
    def source_digest(self) -> str:
        """First 12 hex digits of a sha256 over the plugin's source, for the identity of runs.

        It covers every ``.py`` file of the plugin's top-level package or module (settings of presets are part
        of the identity themselves); where no file is found, as in a zip archive, distribution and version.
        """
        base, files = _source_files(self.module)
        if not files:
            return hashlib.sha256(f"{self.distribution} {self.version}".encode()).hexdigest()[:12]
        return files_digest(base, files)

    @property
    def source(self) -> str:
        """Version and source digest, as recorded with runs: ``"1.2 0f3c5d7e9a1b"``."""
        return f"{self.version} {self.source_digest}".strip()


def files_digest(base: Path, files: Iterable[Path]) -> str:
    """First 12 hex digits of a sha256 over the paths (relative to ``base``) and bytes of files, in order."""
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        # The length separates one file's content from the next.
        digest.update(f"{path.relative_to(base).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def _source_files(module: str) -> tuple[Path, list[Path]]:
    """The folder that paths are relative to, and the sorted source files below it."""
    parts = module.split(".")
    # A data set that the core reads itself depends only on the module that reads it.
    first = len(parts) if parts[0] == CORE else 1
    for length in range(first, len(parts) + 1):
        try:
            spec = find_spec(".".join(parts[:length]))
        except (ImportError, ValueError, AttributeError):
            break
        # A namespace package has no file and may be shared with other distributions: look one level deeper.
        if spec is None or spec.origin is None or not Path(spec.origin).is_file():
            continue
        origin = Path(spec.origin)
        if spec.submodule_search_locations is None:
            return origin.parent, [origin]
        files = (path for path in origin.parent.rglob("*.py") if path.is_file())
        return origin.parent, sorted(files, key=Path.as_posix)
    return Path(), []


@dataclass(frozen=True)
class Registered(Generic[DeclarationT]):
    """A declaration and the plugin that registered it."""

    declaration: DeclarationT
    plugin: PluginInfo

    @property
    def name(self) -> str:
        """The name users type."""
        return self.declaration.name

    @property
    def key(self) -> tuple[str, str]:
        """Kind (``"generator"``, ``"method"``, ``"command"``, ...) and name; unique in a registry."""
        kind = getattr(self.declaration, "kind", type(self.declaration).__name__.lower())
        return kind, self.declaration.name


class Registry:
    """The state of every plugin, and everything that working plugins registered."""

    def __init__(
        self, manager: PluginManager, plugins: Sequence[PluginInfo], registered: Sequence[Registered[Any]]
    ) -> None:
        self.plugins = tuple(plugins)
        """Every plugin, working or broken, in loading order."""
        self._manager = manager
        self._registered = {one.key: one for one in registered}
        self._warned: set[str] = set()

    @property
    def broken(self) -> tuple[PluginInfo, ...]:
        """The plugins that were left out."""
        return tuple(one for one in self.plugins if one.status == "broken")

    def require_sound(self) -> None:
        """Raise a PluginError that names every broken plugin and why it is broken, if there is one."""
        if broken := [f"plugin '{one.name}' is broken: {one.reason}" for one in self.broken]:
            raise PluginError("; ".join(broken))

    # --- lookups -----------------------------------------------------------------------------------

    def components(self, kind: Kind | None = None) -> tuple[Registered[Component], ...]:
        """The components of one kind, or of all kinds, by kind and name."""
        return tuple(one for each in ([kind] if kind else KINDS) for one in self._sorted(each))

    def methods(self) -> tuple[Registered[Method], ...]:
        """All methods by name."""
        return self._sorted("method")

    def trackers(self) -> tuple[Registered[Tracker], ...]:
        """All trackers by name."""
        return self._sorted("tracker")

    def executors(self) -> tuple[Registered[Executor], ...]:
        """All executors by name."""
        return self._sorted("executor")

    def commands(self) -> tuple[Registered[Command], ...]:
        """All commands, in the order in which plugins registered them."""
        return tuple(one for (kind, _), one in self._registered.items() if kind == "command")

    def component(self, kind: Kind, name: str) -> Registered[Component]:
        """The component of this kind and name; UnknownName, with the nearest, if no plugin registers it."""
        return self._find(kind, name)

    def method(self, name: str) -> Registered[Method]:
        """The method of this name; UnknownName as :meth:`component`."""
        return self._find("method", name)

    def tracker(self, name: str) -> Registered[Tracker]:
        """The tracker of this name; UnknownName as :meth:`component`."""
        return self._find("tracker", name)

    def executor(self, name: str) -> Registered[Executor]:
        """The executor of this name; UnknownName as :meth:`component`."""
        return self._find("executor", name)

    def _sorted(self, kind: str) -> tuple[Registered[Any], ...]:
        return tuple(self._registered[key] for key in sorted(self._registered) if key[0] == kind)

    def _find(self, kind: str, name: str) -> Registered[Any]:
        found = self._registered.get((kind, name.strip().lower()))
        if found is None:
            raise UnknownName(self.unknown(kind, name, [one.name for one in self._sorted(kind)]))
        return found

    def unknown(self, what: str, name: str, known: Iterable[str]) -> str:
        """The message about an unknown name: the nearest names, and broken plugins that may have it."""
        message = f"no {what} '{name}', {did_you_mean(name.strip().lower(), known)}"
        if broken := ", ".join(f"'{one.name}'" for one in self.broken):
            message += f" (broken and left out: plugin {broken}; see zslbench plugins)"
        return message

    # --- compositions ------------------------------------------------------------------------------

    def missing(self, method: Method, variant: Variant | None = None) -> tuple[tuple[Kind, str], ...]:
        """Kind and name of each component that the method names and no plugin registers."""
        names = _composition_names(method, variant)
        return tuple((k, n) for k, n in names.items() if n and (k, n) not in self._registered)

    def composition(
        self, method: Method, variant: Variant | None = None
    ) -> dict[Kind, Registered[Component] | None]:
        """The components of a method in the order in which features pass them, None where it has none;
        UnknownName, with the nearest, if no plugin registers one of them."""
        owner = f"method '{method.name}'" + (f", variant '{variant.name}'," if variant else "")
        for kind, name in self.missing(method, variant):
            known = [one.name for one in self.components(kind)]
            raise UnknownName(f"{owner} needs a component that is missing: {self.unknown(kind, name, known)}")
        names = _composition_names(method, variant)
        return {kind: self._registered[kind, name] if name else None for kind, name in names.items()}

    # --- hooks -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def listening(self, listener: object, name: str) -> Iterator[None]:
        """Within the context, call an object's lifecycle hooks (marked with ``hookimpl``) like those of a
        plugin ``name``."""
        key = f"{name} <listener {id(listener)}>"
        self._manager.register(listener, key)
        try:
            yield
        finally:
            self._manager.unregister(name=key)

    def call_hook(self, hook_name: str, /, **kwargs: Any) -> list[tuple[str, Any]]:
        """Call a hook on every plugin that implements it; mappings are passed read-only.

        An exception in a plugin becomes a warning (logger ``zslbench``, each message once) and stops neither
        the run nor the other plugins. A hook that does not exist, or has other arguments, is a TypeError.

        Returns:
            A pair of the plugin's name and one item, for every item of every iterable returned.
        """
        spec = getattr(hookspecs, hook_name, None)
        expected = list(inspect.signature(spec).parameters) if spec else []
        if not expected or sorted(expected) != sorted(kwargs):
            raise TypeError(
                f"{hook_name}({', '.join(kwargs)}) does not match a hook of zslbench.plugin.hookspecs"
            )
        given = {k: MappingProxyType(v) if isinstance(v, dict) else v for k, v in kwargs.items()}
        # Implementations are called one by one: pluggy's own call would stop at the first exception.
        gathered: list[tuple[str, Any]] = []
        for impl in reversed(getattr(self._manager.hook, hook_name).get_hookimpls()):
            name = plugin_name(impl.plugin_name)
            try:
                with printing_to_stderr():
                    returned = impl.function(*(given[argument] for argument in impl.argnames))
                    gathered += [(name, one) for one in (returned or ())]
            except BaseException as error:
                if is_stop(error):
                    raise
                self._warn_once(f"plugin '{name}': {hook_name} failed: {one_line(error)}")
        return gathered

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:  # a failing epoch hook would otherwise repeat it every epoch
            self._warned.add(text)
            _log.warning(text)


def _composition_names(method: Method, variant: Variant | None) -> dict[Kind, str | None]:
    replaced = variant.components if variant else {}
    return {kind: replaced.get(kind, getattr(method, kind)) for kind in _STAGES}


def plugin_name(key: str) -> str:
    """The plugin's name in the key under which pluggy knows it, ``"name <distribution module>"``."""
    return key.partition(" <")[0]
