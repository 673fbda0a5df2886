"""What is registered: lookups by name, compositions, and calls of the lifecycle hooks."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import Any

from pluggy import PluginManager

from zslbench.errors import Interrupted, PluginError, UnknownName, did_you_mean
from zslbench.plugin import hookspecs
from zslbench.plugin.declarations import KINDS, Command, Component, Kind, Method, Tracker, Variant
from zslbench.plugin.info import CORE, PluginInfo, Registered, one_line, plugin_name

_STAGES: tuple[Kind, ...] = ("embedding", "generator", "classifier")
_log = logging.getLogger(CORE)


class Registry:
    """Everything that sound plugins registered, and what became of each plugin."""

    def __init__(
        self, manager: PluginManager, plugins: Sequence[PluginInfo], registered: Sequence[Registered[Any]]
    ) -> None:
        self.plugins = tuple(plugins)
        """Every plugin, sound or broken, in the order in which they were loaded."""
        self._manager = manager
        self._components: dict[tuple[str, str], Registered[Component]] = {}
        self._methods: dict[str, Registered[Method]] = {}
        self._trackers: dict[str, Registered[Tracker]] = {}
        self._commands: dict[str, Registered[Command]] = {}
        for one in registered:
            if isinstance(one.declaration, Component):
                self._components[one.declaration.kind, one.name] = one
            elif isinstance(one.declaration, Tracker):
                self._trackers[one.name] = one
            elif isinstance(one.declaration, Command):
                self._commands[one.name] = one
            else:
                self._methods[one.name] = one
        self._warned: set[str] = set()

    def require_sound(self) -> None:
        """Make broken plugins an error.

        Raises:
            PluginError: names every broken plugin and why it is broken.
        """
        broken = [f"plugin '{one.name}' is broken: {one.reason}" for one in self.broken]
        if broken:
            raise PluginError("; ".join(broken))

    @property
    def broken(self) -> tuple[PluginInfo, ...]:
        """The plugins that were taken out."""
        return tuple(one for one in self.plugins if one.status == "broken")

    def components(self, kind: Kind | None = None) -> tuple[Registered[Component], ...]:
        """The components of one kind, or of all kinds, by kind and name."""
        found = [one for key, one in self._components.items() if kind is None or key[0] == kind]
        return tuple(sorted(found, key=lambda one: (KINDS.index(one.declaration.kind), one.name)))

    def methods(self) -> tuple[Registered[Method], ...]:
        """All methods by name."""
        return tuple(self._methods[name] for name in sorted(self._methods))

    def component(self, kind: Kind, name: str) -> Registered[Component]:
        """The component of this kind and name.

        Raises:
            UnknownName: nobody registered it, with the nearest names of the same kind.
        """
        key = name.strip().lower()
        if (kind, key) in self._components:
            return self._components[kind, key]
        raise UnknownName(self.unknown(kind, name, [one.name for one in self.components(kind)]))

    def method(self, name: str) -> Registered[Method]:
        """The method of this name.

        Raises:
            UnknownName: nobody registered it, with the nearest names.
        """
        try:
            return self._methods[name.strip().lower()]
        except KeyError:
            raise UnknownName(self.unknown("method", name, self._methods)) from None

    def commands(self) -> tuple[Registered[Command], ...]:
        """All commands in the order in which their plugins were loaded and named them."""
        return tuple(self._commands.values())

    def trackers(self) -> tuple[Registered[Tracker], ...]:
        """All trackers by name."""
        return tuple(self._trackers[name] for name in sorted(self._trackers))

    def tracker(self, name: str) -> Registered[Tracker]:
        """The tracker of this name.

        Raises:
            UnknownName: nobody registered it, with the nearest names.
        """
        try:
            return self._trackers[name.strip().lower()]
        except KeyError:
            raise UnknownName(self.unknown("tracker", name, self._trackers)) from None

    @contextlib.contextmanager
    def listening(self, listener: object, name: str) -> Iterator[None]:
        """While the context lasts, an object with lifecycle hooks is told what plugins are told.

        Args:
            listener: an object whose methods are marked with ``hookimpl``.
            name: what messages call it.
        """
        key = f"{name} <listener {id(listener)}>"
        self._manager.register(listener, key)
        try:
            yield
        finally:
            self._manager.unregister(name=key)

    def missing(self, method: Method, variant: Variant | None = None) -> tuple[tuple[Kind, str], ...]:
        """The kind and name of components that the method names and nobody registered."""
        names = composition_names(method, variant)
        return tuple((k, n) for k, n in names.items() if n is not None and (k, n) not in self._components)

    def composition(
        self, method: Method, variant: Variant | None = None
    ) -> dict[Kind, Registered[Component] | None]:
        """The components of a method, in the order in which features pass them; None: it has none of a kind.

        Raises:
            UnknownName: nobody registered one of them; names it, its kind, and the nearest names.
        """
        of = f"method '{method.name}'" + (f", variant '{variant.name}'," if variant else "")
        for kind, name in self.missing(method, variant):
            known = [one.name for one in self.components(kind)]
            raise UnknownName(f"{of} needs a component that is missing: {self.unknown(kind, name, known)}")
        names = composition_names(method, variant)
        return {kind: None if name is None else self._components[kind, name] for kind, name in names.items()}

    def call_lifecycle(self, hook_name: str, /, **kwargs: Any) -> None:
        """Call a lifecycle hook on every plugin that implements it.

        An exception of one plugin becomes a warning (logger ``zslbench``; the same warning once) and stops
        neither the run nor the other plugins. Mappings are handed over read-only.

        Raises:
            TypeError: no such hook, or ``kwargs`` are not exactly the arguments that it specifies.
        """
        self.gather(hook_name, **kwargs)

    def gather(self, hook_name: str, /, **kwargs: Any) -> list[tuple[str, Any]]:
        """Call a hook as :meth:`call_lifecycle` does, and collect what the plugins return.

        Returns:
            A pair of the plugin's name and one item, for every item of every iterable returned.
        """
        spec = getattr(hookspecs, hook_name, None)
        expected = list(inspect.signature(spec).parameters) if spec else []
        if not expected or sorted(expected) != sorted(kwargs):
            raise TypeError(
                f"{hook_name}({', '.join(kwargs)}) is no lifecycle hook: see zslbench.plugin.hookspecs"
            )
        given = {k: MappingProxyType(v) if isinstance(v, dict) else v for k, v in kwargs.items()}
        # Each implementation is called by itself: pluggy's own call would stop at the first exception.
        gathered: list[tuple[str, Any]] = []
        for impl in reversed(getattr(self._manager.hook, hook_name).get_hookimpls()):
            name = plugin_name(impl.plugin_name)
            try:
                returned = impl.function(*(given[argument] for argument in impl.argnames))
                gathered += [(name, one) for one in (returned or ())]
            except (KeyboardInterrupt, Interrupted):
                raise
            except BaseException as error:
                self._warn(f"plugin '{name}': {hook_name} failed: {one_line(error)}")
        return gathered

    def _warn(self, text: str) -> None:
        if text not in self._warned:  # an epoch hook that fails would otherwise say so every epoch
            self._warned.add(text)
            _log.warning(text)

    def unknown(self, what: str, name: str, known: Iterable[str]) -> str:
        """The message about a name that nobody registered: the nearest names, and plugins left out."""
        message = f"no {what} '{name}', {did_you_mean(name.strip().lower(), known)}"
        broken = ", ".join(f"'{one.name}'" for one in self.broken)
        return (
            f"{message} (broken and left out: plugin {broken}; see zslbench plugins)" if broken else message
        )


def composition_names(method: Method, variant: Variant | None = None) -> dict[Kind, str | None]:
    """Which component of each kind a method names, with a variant's swaps applied."""
    swapped = variant.components if variant else {}
    return {kind: swapped.get(kind, getattr(method, kind)) for kind in _STAGES}
