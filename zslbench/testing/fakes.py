"""Plugins that exist in memory only and runs that were never computed, for tests.

For example, run a component that no installed package registers::

    plugin = fake_plugin("my_fakes", components=[Component(kind="classifier", name="mine", ...)])
    with using_registry(registry_with(FakeEntryPoint("mine", "my_fakes", plugin))):
        zslbench.run(classifier="mine", ...)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points as installed_entry_points
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

from zslbench.plugin import discovery
from zslbench.plugin.declarations import Command, Component, Executor, Method, Tracker
from zslbench.plugin.discovery import load_registry
from zslbench.plugin.hookspecs import hookimpl
from zslbench.plugin.lookup import Registry

if TYPE_CHECKING:
    from zslbench.store.record import RunRecord
    from zslbench.store.store import Store

ARRAY = {"array": "features", "file": "res101.mat", "sha256": "a" * 64}
"""The only array of a fake run."""


class FakeEntryPoint(EntryPoint):
    """An entry point in the group ``zslbench``, without a package that declares it.

    Args:
        value: the name of the plugin's module.
        plugin: the module, a function that returns it, or an exception that loading raises.
        dist: its distribution: anything with a ``name`` and a ``version``; None: it has none.
    """

    plugin: Any

    def __init__(self, name: str, value: str, plugin: Any, dist: Any = None) -> None:
        super().__init__(name, value, "zslbench")
        vars(self).update(plugin=plugin, dist=dist)

    def load(self) -> Any:
        """The module."""
        if isinstance(self.plugin, BaseException):
            raise self.plugin
        return self.plugin() if isinstance(self.plugin, FunctionType) else self.plugin


def fake_plugin(
    name: str = "fake_plugin",
    *,
    components: Collection[Component] = (),
    methods: Collection[Method] = (),
    trackers: Collection[Tracker] = (),
    executors: Collection[Executor] = (),
    commands: Collection[Command] = (),
    **hooks: Callable[..., Any],
) -> ModuleType:
    """A plugin's module that registers these declarations; ``hooks`` adds or replaces hooks by name."""
    functions: dict[str, Callable[..., Any]] = {
        "zslbench_components": lambda: list(components),
        "zslbench_methods": lambda: list(methods),
        "zslbench_trackers": lambda: list(trackers),
        "zslbench_executors": lambda: list(executors),
        "zslbench_commands": lambda: list(commands),
    }
    module = ModuleType(name)
    for hook, function in (functions | hooks).items():
        setattr(module, hook, hookimpl(function, specname=hook))
    return module


def registry_with(*entry_points: EntryPoint, installed: bool = True, strict: bool = True) -> Registry:
    """A registry of these plugins.

    Args:
        installed: include the installed plugins.
        strict: a broken plugin is an error.

    Raises:
        PluginError: ``strict``, and a plugin is broken.
    """
    others = installed_entry_points(group="zslbench") if installed else ()
    return load_registry(strict=strict, entry_points=[*others, *entry_points])


@contextmanager
def using_registry(registry: Registry) -> Iterator[Registry]:
    """Within the context, use these plugins instead of the installed ones, also on the command line."""
    with mock.patch.object(discovery, "_installed", lambda: registry):
        yield registry


def fake_record(
    store: Store,
    method: str = "m",
    dataset: str = "cub",
    seed: int = 0,
    selection: str = "val",
    *,
    variant: str | None = None,
    reading: str | None = None,
    features: str = "res101",
    semantics: str = "att",
    identity: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    **figures: float | None,
) -> RunRecord:
    """Store a run that was never computed.

    Args:
        identity: replaces entries of the identity by path, ``{"settings/classifier/lr": 0.5}``.
        metrics, environment: further entries.
        figures: metrics by key, ``acc``, ``u``, ..., as fractions; None: the run lacks it.
    """
    import pandas as pd

    from zslbench.evaluation.metrics import METRICS
    from zslbench.store.identity import run_id
    from zslbench.store.record import RunContent, RunInfo

    content: dict[str, Any] = {
        "method": method,
        "variant": variant,
        "components": {"dataset": dataset, "classifier": "softmax"},
        "settings": {"dataset": {}, "classifier": {"lr": 0.1, "epochs": 3}},
        "data": {"features": features, "semantics": semantics, "arrays": {"features": ARRAY["sha256"]}},
        "seed": seed,
        "selection": {"mode": selection, "every": 1},
        "versions": {"zslbench": "1", "plugin common": "1 abc"},
        "execution": {"device": "cpu", "threads": 1},
    }
    if reading is not None:
        content["reading"] = reading
    for path, value in (identity or {}).items():
        *parents, last = path.split("/")
        place = content
        for parent in parents:
            place = place[parent]
        place[last] = value
    run = run_id(content)
    measured = (key for key, one in METRICS.items() if one.group != "calibrated")
    defaults = dict(zip(measured, (0.5, 0.2, 0.3, 0.24, 0.1), strict=False))
    recorded = {"seconds": 1.5, "group": "generative", "chosen": {}, "preset": None}
    finished = RunContent(
        RunInfo(run, method, variant, dataset, seed, selection, content, store.runs / run, reading=reading),
        metrics=defaults | figures | dict(metrics or {}),
        environment=recorded | dict(environment or {}),
        data={"candidates": "test"} | content["data"] | {"arrays": [ARRAY | {"file": f"{features}.mat"}]},
        notes=["a note"],
        tables={"epochs": pd.DataFrame({"epoch": [1]})},
    )
    return store.write(finished)
