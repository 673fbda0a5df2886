"""Finds plugins, looks names up, and keeps one broken plugin from hurting the others."""

from __future__ import annotations

from zslbench.registry.classes import load_class, load_explain, load_tracker, settings_model
from zslbench.registry.loading import EntryPointLike, load_registry, registry
from zslbench.registry.lookup import Registry
from zslbench.registry.plugin import PluginInfo, Registered

__all__ = [
    "EntryPointLike",
    "PluginInfo",
    "Registered",
    "Registry",
    "load_class",
    "load_explain",
    "load_registry",
    "load_tracker",
    "registry",
    "settings_model",
]
