"""Checks of a component's registration, class and settings."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

from zslbench.plugin.declarations import Component
from zslbench.plugin.lookup import Registered
from zslbench.plugin.settings import fields_of, groups_of
from zslbench.plugin.targets import load_class, settings_model
from zslbench.testing.check import Fault, require

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
    require_summary(registered.declaration.summary)
    load_class(registered)


def require_summary(summary: str, where: str = "") -> None:
    """A summary is one line of text; ``where`` is a prefix of the fault."""
    require(summary.strip(), f"{where}the summary is empty; listings show it")
    require("\n" not in summary, f"{where}the summary has several lines; listings show one")


def settings_documented(registered: Registered[Component]) -> None:
    """The settings are frozen, refuse unknown keys, and every field has a default and a description."""
    model = settings_model(registered)
    for one in (model, *groups_of(model).values()):
        advice = "do not change the model_config of ComponentSettings and SettingsGroup"
        require(one.model_config.get("frozen"), f"{one.__name__} is not frozen; {advice}")
        require(one.model_config.get("extra") == "forbid", f"{one.__name__} accepts unknown keys; {advice}")
    for name, field in {**model.model_fields, **fields_of(model)}.items():
        require(not field.is_required(), f"setting '{name}' has no default; runs without a preset need one")
        described = (field.description or "").strip()
        require(described, f"setting '{name}' has no description; write a docstring below the field")


def settings_round_trip(registered: Registered[Component]) -> None:
    """The default settings survive being written as JSON and read back."""
    model = settings_model(registered)
    defaults = model()
    back = model.model_validate_json(defaults.model_dump_json())
    for name in model.model_fields:
        before, after = getattr(defaults, name), getattr(back, name)
        require(before == after, f"setting '{name}' is {before!r}, but {after!r} when read back from JSON")


def cheap_to_list(registered: Registered[Component]) -> None:
    """Importing the plugin's module and the settings' module does not import torch or other heavy
    libraries."""
    modules = [registered.plugin.module]
    if registered.declaration.settings is not None:
        modules.append(registered.declaration.settings.partition(":")[0])
    if fault := heavy_import(tuple(modules)):
        raise Fault(f"{fault}; this slows down every command that lists plugins")


@cache
def heavy_import(modules: tuple[str, ...]) -> str:
    """Which heavy library a fresh interpreter imports with these modules, or the error; empty: none."""
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
