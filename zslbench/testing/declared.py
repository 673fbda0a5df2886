"""Checks of what is declared: the registration, the class, the settings."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

from zslbench.plugin.declarations import Component
from zslbench.plugin.lookup import Registered
from zslbench.plugin.settings import fields_of, groups_of
from zslbench.plugin.targets import load_class, settings_model
from zslbench.testing.check import Fault

_HEAVY = ("torch", "pandas", "sklearn", "scipy", "jaxtyping", "h5py")
_LISTING = f"""
import importlib, sys
for module in sys.argv[1:]:
    importlib.import_module(module)
    heavy = [one for one in {_HEAVY!r} if one in sys.modules]
    if heavy:
        sys.exit("importing " + module + " imports " + ", ".join(heavy))
"""


def declaration(registered: Registered[Component]) -> None:
    """The summary is one line, and the class can be imported and implements its kind's interface."""
    summary = registered.declaration.summary
    if not summary.strip():
        raise Fault("the summary is empty; listings show it")
    if "\n" in summary:
        raise Fault("the summary has several lines; listings show one")
    load_class(registered)


def settings_documented(registered: Registered[Component]) -> None:
    """The settings are frozen, refuse unknown keys, and every field has a default and a description."""
    model = settings_model(registered)
    if not model.model_config.get("frozen"):
        raise Fault(f"{model.__name__} is not frozen; leave model_config as ComponentSettings has it")
    if model.model_config.get("extra") != "forbid":
        raise Fault(f"{model.__name__} accepts unknown keys; leave model_config as ComponentSettings has it")
    for name, group in groups_of(model).items():
        if not group.model_config.get("frozen") or group.model_config.get("extra") != "forbid":
            raise Fault(
                f"group '{name}' is not frozen or accepts unknown keys; leave its model_config as it is"
            )
    for name, field in {**model.model_fields, **fields_of(model)}.items():
        if field.is_required():
            raise Fault(f"setting '{name}' has no default; a run without a preset needs one")
        if not (field.description or "").strip():
            raise Fault(f"setting '{name}' has no description; write a docstring below the field")


def settings_round_trip(registered: Registered[Component]) -> None:
    """The default settings survive being written as JSON and read back."""
    model = settings_model(registered)
    defaults = model()
    back = model.model_validate_json(defaults.model_dump_json())
    for name in model.model_fields:
        if getattr(back, name) != getattr(defaults, name):
            raise Fault(
                f"setting '{name}' is {getattr(defaults, name)!r}, but {getattr(back, name)!r} from JSON"
            )


def cheap_to_list(registered: Registered[Component]) -> None:
    """Importing the plugin's module and the settings' module imports nothing heavy, as torch."""
    modules = [registered.plugin.module]
    if registered.declaration.settings is not None:
        modules.append(registered.declaration.settings.partition(":")[0])
    fault = heavy_import(tuple(modules))
    if fault:
        raise Fault(f"{fault}; every command that lists plugins would pay for it")


@cache
def heavy_import(modules: tuple[str, ...]) -> str:
    """What a fresh interpreter says of importing these modules; empty: nothing."""
    path = os.pathsep.join(one for one in sys.path if one)
    done = subprocess.run(
        [sys.executable, "-c", _LISTING, *modules],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    lines = done.stderr.strip().splitlines()
    return (lines[-1] if lines else f"ended with code {done.returncode}") if done.returncode else ""
