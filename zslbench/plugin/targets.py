"""Imports what a declaration names, when it is needed, and checks that it is what it should be.

What cannot be imported, or is something else, is a PluginError.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from zslbench.errors import MissingExtra, PluginError, did_you_mean
from zslbench.plugin.boundary import PACKAGES, is_stop, one_line, printing_to_stderr
from zslbench.plugin.declarations import Command, Component, Executor, Method, Tracker
from zslbench.plugin.lookup import Registered

if TYPE_CHECKING:
    import click

    from zslbench.plugin.settings import ComponentSettings

T = TypeVar("T")


def load_class(registered: Registered[Component]) -> type[Any]:
    """Import a component's class, and torch; PluginError unless it is a class that implements its interface.

    Process-wide settings on which numbers depend are restored, whatever the module does to them.
    """
    from zslbench.plugin import interfaces
    from zslbench.plugin.process import START, preserved

    interface: Any = {
        "dataset": interfaces.DatasetSource,
        "extractor": interfaces.FeatureExtractor,
        "embedding": interfaces.Embedding,
        "generator": interfaces.Generator,
        "classifier": interfaces.Classifier,
    }[registered.declaration.kind]
    # Only a module's first import changes any, and preserving them takes longer than everything else here.
    module = registered.declaration.target.partition(":")[0]
    with contextlib.nullcontext() if module in sys.modules else preserved(names=START):
        found: type[Any] = _load_subclass(registered, "target", interface)
    for name, allowed in _choices(interface).items():
        value = inspect.getattr_static(found, name, None)
        if not any(value is one or (isinstance(value, str) and value == one) for one in allowed):
            kind, own = registered.key
            raise PluginError(
                f"plugin '{registered.plugin.name}': {kind} '{own}': class attribute {name} is {value!r}, "
                f"not {' or '.join(map(repr, allowed))}"
            )
    return found


@functools.cache
def _choices(interface: type[Any]) -> dict[str, tuple[Any, ...]]:
    """By name: the values that a class attribute of an interface may have, where they are a few."""
    hints = get_type_hints(interface)
    plain = {name: get_args(one)[0] if get_origin(one) is ClassVar else one for name, one in hints.items()}
    choices = {name: get_args(one) for name, one in plain.items() if get_origin(one) is Literal}
    return choices | {name: (True, False) for name, one in plain.items() if one is bool}


def settings_model(registered: Registered[Component]) -> type[ComponentSettings]:
    """Import the model of a component's settings (not torch); ``NoSettings`` where it has none."""
    from zslbench.plugin.settings import ComponentSettings, NoSettings, schedule_of

    if registered.declaration.settings is None:
        return NoSettings
    model: type[ComponentSettings] = _load_subclass(registered, "settings", ComponentSettings)
    schedule_of(model)  # a faulty one is an error of the declaration
    return model


def load_function(
    registered: Registered[Command] | Registered[Method], field: Literal["function", "explain"]
) -> Callable[..., Any]:
    """Import the function that this field of a declaration names; PluginError if it is not one."""
    return _load(registered, field, callable, "callable")  # type: ignore[no-any-return]


def load_command(registered: Registered[Command]) -> click.Command:
    """Import a command; PluginError if it is not a click command."""
    import click

    command: click.Command = _load(
        registered, "target", lambda found: isinstance(found, click.Command), "a click command"
    )
    return command


def load_extra(registered: Registered[Tracker] | Registered[Executor], base: type[T]) -> type[T]:
    """Import the class of a tracker or an executor.

    Raises:
        MissingExtra: a library that it requires is not installed; says how to install it.
        PluginError: it cannot be imported or is not a complete subclass of ``base``.
    """
    if missing := ", ".join(missing_modules(registered.declaration)):
        (kind, name), advice = registered.key, install_advice(registered)
        raise MissingExtra(f"{kind} '{name}' needs {missing}, which is not installed: {advice}")
    return _load_subclass(registered, "target", base)


def missing_modules(tracker: Tracker | Executor) -> tuple[str, ...]:
    """The modules that a tracker or an executor requires and that are not installed; nothing is imported."""

    def installed(module: str) -> bool:
        try:
            return importlib.util.find_spec(module) is not None
        except (ImportError, ValueError):  # a parent package is missing, or it is partly imported
            return False

    return tuple(one for one in tracker.requires if not installed(one))


def install_advice(registered: Registered[Tracker] | Registered[Executor]) -> str:
    """How to install what a tracker or an executor requires: its extra, or the missing modules."""
    declared, plugin = registered.declaration, registered.plugin
    if declared.extra:
        return f"pip install '{plugin.distribution or plugin.module}[{declared.extra}]'"
    return f"install {', '.join(missing_modules(declared))}"


def _load(registered: Registered[Any], field: str, accept: Callable[[Any], bool], expected: str) -> Any:
    """Import what this field of a declaration names; ``expected`` says what ``accept`` accepts."""
    kind, name = registered.key
    target = str(getattr(registered.declaration, field))
    what = "" if field == "target" else f"{field} of "
    where = f"plugin '{registered.plugin.name}': {what}{kind} '{name}', {target}"
    module_name, _, attribute = target.partition(":")
    PACKAGES.setdefault(module_name.partition(".")[0], registered.plugin.name)
    try:
        with printing_to_stderr():
            module = importlib.import_module(module_name)
    except BaseException as error:  # a plugin's module may even call sys.exit
        if is_stop(error):
            raise
        raise PluginError(f"{where}: cannot be imported: {one_line(error)}") from error
    try:
        found = getattr(module, attribute)
    except AttributeError:
        advice = did_you_mean(attribute, [one for one in vars(module) if not one.startswith("_")])
        raise PluginError(f"{where}: module {module_name} has no {attribute}, {advice}") from None
    if not accept(found):
        raise PluginError(f"{where}: is not {expected}")
    if missing := getattr(found, "__abstractmethods__", None):
        raise PluginError(f"{where}: does not define {', '.join(sorted(missing))}")
    return found


def _load_subclass(registered: Registered[Any], field: str, base: type[T]) -> type[T]:
    def is_subclass(found: Any) -> bool:
        return inspect.isclass(found) and issubclass(found, base)

    package = ".".join(base.__module__.split(".")[:2])
    expected = f"a subclass of {package}.{base.__name__}"
    return _load(registered, field, is_subclass, expected)  # type: ignore[no-any-return]
