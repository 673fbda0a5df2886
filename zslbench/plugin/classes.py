"""Imports what a declaration names, when it is needed, and checks that it is what it claims."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zslbench.errors import MissingExtra, PluginError, did_you_mean
from zslbench.plugin.declarations import Command, Component, Method, Tracker
from zslbench.plugin.info import Registered, one_line

if TYPE_CHECKING:
    import click

    from zslbench.plugin.settings import ComponentSettings
    from zslbench.plugin.tracking import RunTracker


def load_class(registered: Registered[Component]) -> type[Any]:
    """Import a component's class. This imports torch.

    Raises:
        PluginError: it cannot be imported, or is no complete implementation of its kind's interface;
            names the plugin, the target and the fault.
    """
    component = registered.declaration
    where = f"plugin '{registered.plugin.name}': {component.kind} '{component.name}', {component.target}"
    found = _imported(component.target, where)
    from zslbench.plugin import interfaces

    interface = {
        "dataset": interfaces.DatasetSource,
        "extractor": interfaces.FeatureExtractor,
        "embedding": interfaces.Embedding,
        "generator": interfaces.Generator,
        "classifier": interfaces.Classifier,
    }[component.kind]
    if not inspect.isclass(found):
        raise PluginError(f"{where}: is no class")
    if not issubclass(found, interface):
        raise PluginError(f"{where}: does not implement zslbench.plugin.interfaces.{interface.__name__}")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise PluginError(f"{where}: does not define {missing}")
    return found


def settings_model(registered: Registered[Component]) -> type[ComponentSettings]:
    """The model of a component's settings; ``NoSettings`` where it has none. This does not import torch.

    Raises:
        PluginError: it cannot be imported or is no ``ComponentSettings``.
    """
    from zslbench.plugin.settings import ComponentSettings, NoSettings

    component = registered.declaration
    if component.settings is None:
        return NoSettings
    where = f"plugin '{registered.plugin.name}': settings of {component.kind} '{component.name}', "
    where += component.settings
    found = _imported(component.settings, where)
    if not (inspect.isclass(found) and issubclass(found, ComponentSettings)):
        raise PluginError(f"{where}: is no zslbench.ComponentSettings")
    return found


def load_explain(registered: Registered[Method]) -> Callable[..., Any]:
    """Import the function that a method's ``explain`` names, which must be declared.

    Raises:
        PluginError: it cannot be imported or is no function.
    """
    target = str(registered.declaration.explain)
    where = f"plugin '{registered.plugin.name}': explain of method '{registered.name}', {target}"
    found = _imported(target, where)
    if not callable(found):
        raise PluginError(f"{where}: is no function")
    return found  # type: ignore[no-any-return]


def load_command(registered: Registered[Command]) -> click.Command:
    """Import a command.

    Raises:
        PluginError: it cannot be imported or is no click command.
    """
    import click

    command = registered.declaration
    where = f"plugin '{registered.plugin.name}': command '{command.name}', {command.target}"
    found = _imported(command.target, where)
    if not isinstance(found, click.Command):
        raise PluginError(f"{where}: is not a click command")
    return found


def load_function(registered: Registered[Command]) -> Callable[..., Any]:
    """Import the Python function of a command that declares one.

    Raises:
        PluginError: it cannot be imported or is not callable.
    """
    target = str(registered.declaration.function)
    where = f"plugin '{registered.plugin.name}': function of command '{registered.name}', {target}"
    found = _imported(target, where)
    if not callable(found):
        raise PluginError(f"{where}: is not callable")
    return found  # type: ignore[no-any-return]


def missing_modules(tracker: Tracker) -> tuple[str, ...]:
    """The modules that a tracker requires and that are not installed; nothing is imported."""

    def there(module: str) -> bool:
        try:
            return importlib.util.find_spec(module) is not None
        except (ImportError, ValueError):  # a parent package is missing, or it is half imported
            return False

    return tuple(one for one in tracker.requires if not there(one))


def install_advice(registered: Registered[Tracker]) -> str:
    """How to install what a tracker requires: its extra, or the modules that are missing."""
    tracker, plugin = registered.declaration, registered.plugin
    if tracker.extra:
        return f"pip install '{plugin.distribution or plugin.module}[{tracker.extra}]'"
    return f"install {', '.join(missing_modules(tracker))}"


def load_tracker(registered: Registered[Tracker]) -> type[RunTracker]:
    """Import a tracker's class.

    Raises:
        MissingExtra: a library that it requires is not installed; says how to install it.
        PluginError: it cannot be imported or is no complete ``zslbench.plugin.RunTracker``.
    """
    from zslbench.plugin.tracking import RunTracker

    tracker, plugin = registered.declaration, registered.plugin
    if missing := ", ".join(missing_modules(tracker)):
        text = (
            f"tracker '{tracker.name}' needs {missing}, which is not installed: {install_advice(registered)}"
        )
        raise MissingExtra(text)
    where = f"plugin '{plugin.name}': tracker '{tracker.name}', {tracker.target}"
    found = _imported(tracker.target, where)
    if not (inspect.isclass(found) and issubclass(found, RunTracker)):
        raise PluginError(f"{where}: is no zslbench.plugin.RunTracker")
    if inspect.isabstract(found):
        raise PluginError(f"{where}: does not define {', '.join(sorted(found.__abstractmethods__))}")
    return found


def _imported(target: str, where: str) -> Any:
    module_name, _, name = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin's module may even call sys.exit
        raise PluginError(f"{where}: cannot be imported: {one_line(error)}") from error
    try:
        return getattr(module, name)
    except AttributeError:
        advice = did_you_mean(name, [one for one in vars(module) if not one.startswith("_")])
        raise PluginError(f"{where}: module {module_name} has no {name}, {advice}") from None
