"""A recipe: which components, with which settings, everything resolved. Nothing here imports torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from zslbench.data.locations import find_dataset
from zslbench.errors import SettingsError, UnknownName, ZslbenchError, did_you_mean
from zslbench.plugin.declarations import Component, Kind, Method, Reading, Variant
from zslbench.plugin.lookup import PluginInfo, Registered, Registry
from zslbench.plugin.presets import select_presets
from zslbench.plugin.settings import ComponentSettings, build, fields_of
from zslbench.plugin.targets import settings_model

Overlay = TypeVar("Overlay", Variant, Reading)


@dataclass(frozen=True)
class Part:
    """One component of a recipe with its settings."""

    registered: Registered[Component]
    settings: ComponentSettings

    @property
    def name(self) -> str:
        return self.registered.name

    def values(self) -> dict[str, Any]:
        """The settings as JSON values, by name."""
        return self.settings.flat()


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
    """Names of the presets in use; None: the components' defaults."""
    plugins: tuple[PluginInfo, ...] = ()
    """Every plugin that takes part."""
    reading: Reading | None = None
    """How the paper is read; None: the method has no readings."""
    default_reading: bool = True
    """Whether it is the method's first."""
    tuned: tuple[Mapping[str, Any], ...] = ()
    """Name (``preset``) and provenance of each preset in use that a search found."""

    @property
    def label(self) -> str:
        """Its name in tables."""
        shown = None if self.reading is None or self.default_reading else self.reading.name
        return label_text(self.method, self.variant, shown)

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
            given = part.settings.flat("python") | values
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
    reading: str | None = None,
    components: Mapping[str, str | None] | None = None,
    preset: str | Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    data_root: str | Path | None = None,
) -> Recipe:
    """Resolve what a user requests.

    Later wins: components' defaults, the method's settings, the reading's, the presets', the variant's, the
    user's. Settings of the method, reading or presets for a component that the variant swaps out do not
    apply.

    Args:
        method: registered method; None: composed by hand from ``components``.
        variant: one of the method's; one that changes nothing is the method itself and has no name.
        reading: one of the method's ways of reading its paper; None: its first.
        components: ``{"embedding": "identity"}`` and so on, for a composition by hand.
        preset: a preset's name, ``method:name`` for another method's, or a TOML file; of several the later
            win; None: the data set's preset where the method has one. Under a reading other than the
            method's first, ``<name>-<reading>`` is taken in place of ``<name>`` where there is one.
        settings: the user's, ``{"generator.lr": 1e-4}``.
        epochs: the schedule's length, whichever component it belongs to.

    Raises:
        UnknownName: a method, variant, reading, component, data set or preset that is not registered.
        SettingsError: unknown setting or wrong value.
        ZslbenchError: the parts do not make a method.
    """
    declared = _declared(registry, method, {k: v for k, v in (components or {}).items() if v is not None})
    overlay = _named("variant", declared, declared.variants, variant)
    if overlay is not None and not overlay.settings and not overlay.components:
        overlay = None
    default = declared.readings[0] if declared.readings else None
    chosen_reading = _named("reading", declared, declared.readings, reading) or default
    composition = registry.composition(declared, overlay)
    chosen: dict[Kind, Registered[Component]] = {"dataset": find_dataset(registry, dataset, root=data_root)}
    chosen |= {kind: one for kind, one in composition.items() if one is not None}
    swapped = overlay.components if overlay else {}
    unchanged = {kind for kind in chosen if kind not in swapped}

    def unswapped(values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in values.items() if key.partition(".")[0] in unchanged}

    suffix = None if chosen_reading is None or chosen_reading is default else chosen_reading.name
    presets = select_presets(
        declared.presets, preset, dataset.lower(), suffix, lambda name: _presets_of(registry, name)
    )
    read = unswapped(chosen_reading.settings) if chosen_reading else {}
    layers = (
        unswapped(declared.settings),
        read,
        unswapped({key: value for one in presets for key, value in one.settings.items()}),
        dict(overlay.settings) if overlay else {},
    )
    plugins = {one.plugin.name: one.plugin for one in chosen.values()}
    parts = {kind: Part(one, settings_model(one)()) for kind, one in chosen.items()}
    recipe = Recipe(
        method=declared.name,
        variant=overlay.name if overlay else None,
        group=declared.group,
        tasks=tuple(declared.tasks),
        parts=MappingProxyType(parts),
        search=MappingProxyType({}),
        preset=" + ".join(one.name for one in presets) or None,
        plugins=tuple(plugins[name] for name in sorted(plugins)),
        reading=chosen_reading,
        default_reading=suffix is None,
        tuned=tuple({"preset": one.name, **one.provenance} for one in presets if one.provenance),
    )
    merged: dict[str, Any] = {}
    for layer in layers:
        merged |= layer
    fixed = read | dict(overlay.settings if overlay else {}) | dict(settings or {})
    for one in presets:
        if one.provenance:  # what a search has chosen on validation is not searched again
            fixed |= one.settings
    merged |= settings or {}
    if epochs is not None:
        if recipe.schedule is None:
            raise SettingsError(
                f"--epochs {epochs}: method '{recipe.method}' is closed form, it has no schedule"
            )
        merged[recipe.schedule] = epochs
    try:
        recipe = recipe.with_settings(merged)
    except SettingsError as error:
        if foreign := [one.name for one in presets if _foreign(unswapped(one.settings), parts)]:
            raise SettingsError(f"preset {', '.join(foreign)}: {error}") from None
        raise
    search = {k: tuple(v) for k, v in unswapped(declared.search).items() if k not in fixed}
    return replace(recipe, search=MappingProxyType(search))


@dataclass
class Request:
    """What a user requests for the variants of one method, as far as each variant has it.

    A variant may swap components out. Settings of theirs, and the length of a schedule, that it does not have
    are left out for it, which becomes a remark.
    """

    registry: Registry
    method: Method
    settings: Mapping[str, Any]
    epochs: int | None
    others: Mapping[str, Any]
    """Further arguments of :func:`resolve`."""
    remarks: list[str] = field(default_factory=list)

    def recipe(self, variant: Variant | None, dataset: str) -> Recipe:
        """The recipe of a variant, or of the method itself, on a data set.

        Raises:
            ZslbenchError: as :func:`resolve` does.
        """
        lacking = [] if variant is None else [key for key in self.settings if self._lacks(variant, key)]
        settings = {key: value for key, value in self.settings.items() if key not in lacking}

        def resolved(epochs: int | None) -> Recipe:
            return resolve(
                self.registry,
                dataset,
                method=self.method.name,
                variant=variant.name if variant else None,
                settings=settings,
                epochs=epochs,
                **self.others,
            )

        epochs = self.epochs
        if variant is not None and variant.components and epochs is not None and not resolved(None).schedule:
            lacking, epochs = [*lacking, "a schedule"], None
        self._remark(variant, lacking)
        return resolved(epochs)

    def _lacks(self, variant: Variant, key: str) -> bool:
        kind, _, name = key.partition(".")
        if kind not in variant.components:
            return False
        component = self.registry.composition(self.method, variant)[kind]  # type: ignore[index]
        return component is None or name not in fields_of(settings_model(component))

    def _remark(self, variant: Variant | None, lacking: Sequence[str]) -> None:
        if variant is not None and lacking:
            text = f"variant '{variant.name}' does not have {', '.join(lacking)}: left out there"
            if text not in self.remarks:
                self.remarks.append(text)


def label_text(method: str, variant: str | None, reading: str | None) -> str:
    """The name of a method in tables.

    >>> label_text("sc-egg", "no-lce", "authors")
    'sc-egg (no-lce) [authors]'
    """
    return method + (f" ({variant})" if variant else "") + (f" [{reading}]" if reading else "")


def _foreign(settings: Mapping[str, Any], parts: Mapping[Kind, Part]) -> bool:
    """Whether the components lack one of the settings: they were made for others."""
    known = {f"{kind}.{name}" for kind, one in parts.items() for name in fields_of(type(one.settings))}
    return not known.issuperset(settings)


def _declared(registry: Registry, method: str | None, components: Mapping[str, str]) -> Method:
    if method is not None and not components:
        return registry.method(method).declaration
    embedding, generator, classifier = (components.get(k) for k in ("embedding", "generator", "classifier"))
    if method is not None or embedding is None or classifier is None:
        raise ZslbenchError(
            "name either a method or a composition: --embedding NAME [--generator NAME] --classifier NAME "
            "(zslbench methods lists them)"
        )
    return Method(
        name=f"{embedding}+{generator or 'none'}+{classifier}",
        embedding=embedding,
        generator=generator,
        classifier=classifier,
        group="generative" if generator else "embedding",
        summary="composed by hand",
    )


def _named(what: str, method: Method, options: Sequence[Overlay], name: str | None) -> Overlay | None:
    if name is None:
        return None
    known = {one.name: one for one in options}
    if name not in known:
        raise UnknownName(f"method '{method.name}' has no {what} '{name}', {did_you_mean(name, known)}")
    return known[name]


def _presets_of(registry: Registry, method: str) -> str | None:
    return registry.method(method).declaration.presets


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
