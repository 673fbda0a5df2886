"""A recipe: which components, with which settings, everything resolved. Nothing here imports torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from zslbench.declarations import Component, Kind, Method, Variant
from zslbench.errors import SettingsError, UnknownName, ZslbenchError, did_you_mean
from zslbench.presets import preset_names, read_preset, read_preset_file
from zslbench.registry import PluginInfo, Registered, Registry, settings_model
from zslbench.settings import ComponentSettings, build


@dataclass(frozen=True)
class Part:
    """One component of a recipe with its settings."""

    registered: Registered[Component]
    settings: ComponentSettings

    @property
    def name(self) -> str:
        return self.registered.name

    def values(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return self.settings.model_dump(mode="json")


@dataclass(frozen=True)
class Recipe:
    """A method ready to run on one data set."""

    method: str
    variant: str | None
    group: str
    tasks: tuple[str, ...]
    parts: Mapping[Kind, Part]
    """``dataset``, ``embedding``, ``classifier`` and, where the method has one, ``generator``."""
    search: Mapping[str, tuple[Any, ...]]
    """Hyper-parameters left to validation, each with its candidates."""
    preset: str | None
    """The preset in use; None: the components' defaults."""
    plugins: tuple[PluginInfo, ...] = ()
    """Every plugin that takes part."""

    @property
    def schedule(self) -> str | None:
        """The setting that is the schedule's length, ``"generator.epochs"``; None: closed form."""
        for kind in ("generator", "embedding", "classifier"):
            if kind in self.parts and "epochs" in type(self.parts[kind].settings).model_fields:
                return f"{kind}.epochs"
        return None

    @property
    def paced(self) -> str | None:
        """The kind of the component whose training's length is selected."""
        return self.schedule.partition(".")[0] if self.schedule else None

    @property
    def epochs(self) -> int | None:
        """The schedule's length."""
        if self.schedule is None:
            return None
        kind, _, name = self.schedule.partition(".")
        length = getattr(self.parts[kind].settings, name)  # type: ignore[index]
        return int(length)

    def with_settings(self, overlay: Mapping[str, Any]) -> Recipe:
        """The recipe with some settings changed.

        Raises:
            SettingsError: unknown setting or wrong value.
        """
        parts = dict(self.parts)
        for kind, values in _by_kind(overlay, parts, f"method '{self.method}'").items():
            part = parts[kind]
            given = part.settings.model_dump() | values
            where = f"{kind} '{part.name}'"
            parts[kind] = replace(part, settings=build(type(part.settings), given, where))
        return replace(self, parts=MappingProxyType(parts))

    def candidates(self) -> Iterator[tuple[dict[str, Any], Recipe]]:
        """Every combination of the searched hyper-parameters, as an overlay and the recipe with it."""
        for values in itertools.product(*self.search.values()):
            overlay = dict(zip(self.search, values, strict=True))
            yield overlay, self.with_settings(overlay)


def resolve(
    registry: Registry,
    dataset: str,
    *,
    method: str | None = None,
    variant: str | None = None,
    components: Mapping[str, str | None] | None = None,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    data_root: str | Path | None = None,
) -> Recipe:
    """Resolve what a user asked for.

    Later wins: components' defaults, the method's settings, the preset, the variant's settings, the
    user's. Settings that the method or preset makes for a component which the variant swaps out do not
    apply.

    Args:
        method: registered method; None: composed by hand from ``components``.
        components: ``{"embedding": "identity"}`` and so on, for a composition by hand.
        preset: a preset's name, ``method:name`` for another method's, or a TOML file; None: the data
            set's preset where the method has one.
        settings: the user's, ``{"generator.lr": 1e-4}``.
        epochs: the schedule's length, whichever component it belongs to.

    Raises:
        UnknownName: method, variant, component, data set or preset that nobody registered.
        SettingsError: unknown setting or wrong value.
        ZslbenchError: the parts do not make a method.
    """
    declared = _declared(registry, method, {k: v for k, v in (components or {}).items() if v is not None})
    overlay = _variant(declared, variant)
    composition = registry.composition(declared, overlay)
    chosen: dict[Kind, Registered[Component]] = {
        "dataset": registry.component("dataset", dataset, data_root=data_root)
    }
    chosen |= {kind: one for kind, one in composition.items() if one is not None}
    swapped = overlay.components if overlay else {}
    kept = {kind for kind in chosen if kind not in swapped}

    preset_name, preset_values = _preset(registry, declared, dataset, preset)
    layers = (
        {key: value for key, value in declared.settings.items() if key.partition(".")[0] in kept},
        {key: value for key, value in preset_values.items() if key.partition(".")[0] in kept},
        dict(overlay.settings) if overlay else {},
    )
    plugins = {one.plugin.name: one.plugin for one in chosen.values()}
    parts = {kind: Part(one, settings_model(one)()) for kind, one in chosen.items()}
    recipe = Recipe(
        method=declared.name,
        variant=variant,
        group=declared.group,
        tasks=tuple(declared.tasks),
        parts=MappingProxyType(parts),
        search=MappingProxyType({}),
        preset=preset_name,
        plugins=tuple(plugins[name] for name in sorted(plugins)),
    )
    merged: dict[str, Any] = {}
    for layer in layers:
        merged |= layer
    fixed = dict(overlay.settings if overlay else {}) | dict(settings or {})
    merged |= settings or {}
    if epochs is not None:
        if recipe.schedule is None:
            raise SettingsError(
                f"--epochs {epochs}: method '{recipe.method}' is closed form, it has no schedule"
            )
        merged[recipe.schedule] = epochs
    recipe = recipe.with_settings(merged)
    search = {
        k: tuple(v) for k, v in declared.search.items() if k not in fixed and k.partition(".")[0] in kept
    }
    return replace(recipe, search=MappingProxyType(search))


def _declared(registry: Registry, method: str | None, components: Mapping[str, str]) -> Method:
    if method is not None and not components:
        return registry.method(method).declaration
    embedding, generator, classifier = (components.get(k) for k in ("embedding", "generator", "classifier"))
    if method is not None or embedding is None or classifier is None:
        raise ZslbenchError(
            "name either a method or a composition: --embedding NAME [--generator NAME] --classifier NAME "
            "(zslbench methods shows what there is)"
        )
    return Method(
        name=f"{embedding}+{generator or 'none'}+{classifier}",
        embedding=embedding,
        generator=generator,
        classifier=classifier,
        group="generative" if generator else "embedding",
        summary="composed by hand",
    )


def _variant(method: Method, name: str | None) -> Variant | None:
    if name is None:
        return None
    known = {variant.name: variant for variant in method.variants}
    if name not in known:
        raise UnknownName(f"method '{method.name}' has no variant '{name}', {did_you_mean(name, known)}")
    return known[name]


def _preset(
    registry: Registry, method: Method, dataset: str, preset: str | None
) -> tuple[str | None, dict[str, Any]]:
    if preset is None:
        # Without a preset of its own a data set gets the defaults; a guess would pass for a choice.
        name = dataset.lower()
        return (
            (name, read_preset(method.presets, name)) if name in preset_names(method.presets) else (None, {})
        )
    if preset.endswith(".toml"):
        return preset, read_preset_file(Path(preset))
    owner, colon, name = preset.rpartition(":")
    package = registry.method(owner).declaration.presets if colon else method.presets
    return preset, read_preset(package, name)


def _by_kind(
    overlay: Mapping[str, Any], parts: Mapping[Kind, Part], where: str
) -> dict[Kind, dict[str, Any]]:
    grouped: dict[Kind, dict[str, Any]] = {}
    for key, value in overlay.items():
        kind, _, name = key.partition(".")
        if kind not in parts:
            raise SettingsError(f"setting '{key}': {where} has no {kind}; it has {', '.join(parts)}")
        grouped.setdefault(kind, {})[name] = value  # type: ignore[arg-type]
    return grouped
