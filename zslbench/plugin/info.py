"""What is known of a plugin, and a declaration together with the plugin that made it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, Literal, TypeVar

from zslbench.plugin.declarations import Command, Component, Method, Tracker

CORE = "zslbench"
"""The core's package, its distribution and its entry-point group carry one name."""

DeclarationT = TypeVar("DeclarationT", Command, Component, Method, Tracker)


@dataclass(frozen=True)
class PluginInfo:
    """One plugin as an entry point announced it.

    ``distribution`` and ``version`` are empty where the entry point does not tell them; ``reason`` is
    one line and empty for a plugin that works.
    """

    name: str
    module: str
    distribution: str = ""
    version: str = ""
    status: Literal["ok", "broken"] = "ok"
    reason: str = ""

    def source_digest(self) -> str:
        """First 12 hex digits of a sha256 over the plugin's source, so that an edited plugin is a new run.

        It covers the path and bytes of every ``.py`` file of the plugin's top-level package or module, in
        sorted order; what a preset says is among a run's resolved settings. It is computed on first use and
        then kept. A plugin whose files cannot be found (inside a zip archive) counts by its distribution and
        version.
        """
        return self._digest

    @property
    def origin(self) -> str:
        """Where it comes from, in words: ``"classic (zslbench 0.1.0)"``."""
        return f"{self.name} ({self.distribution} {self.version})" if self.distribution else self.name

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256()
        base, files = _source_files(self.module)
        if not files:
            digest.update(f"{self.distribution} {self.version}".encode())
        for path in files:
            content = path.read_bytes()
            # The length keeps two files apart that would read the same once joined.
            digest.update(f"{path.relative_to(base).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()[:12]


def _source_files(module: str) -> tuple[Path, list[Path]]:
    """The folder that paths are relative to, and the sorted source files below it."""
    parts = module.split(".")
    # Of the core only the named module belongs to a data set that the core itself reads.
    first = len(parts) if parts[0] == CORE else 1
    for length in range(first, len(parts) + 1):
        try:
            spec = find_spec(".".join(parts[:length]))
        except (ImportError, ValueError, AttributeError):
            break
        # A namespace package has no file of its own and is shared by strangers: look one level deeper.
        if spec is None or spec.origin is None or not Path(spec.origin).is_file():
            continue
        origin = Path(spec.origin)
        if spec.submodule_search_locations is None:
            return origin.parent, [origin]
        found = (path for path in origin.parent.rglob("*") if path.suffix == ".py")
        return origin.parent, sorted((path for path in found if path.is_file()), key=Path.as_posix)
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


def one_line(error: BaseException) -> str:
    """``"ValueError: what it says"`` on one line, for an error of somebody else's code."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # a broken plugin may bring an exception that cannot even be printed
        text = ""
    text = text if len(text) <= 300 else text[:299] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def plugin_name(key: str) -> str:
    """The plugin's name in the key under which pluggy knows it, ``"name <distribution module>"``."""
    return key.partition(" <")[0]
