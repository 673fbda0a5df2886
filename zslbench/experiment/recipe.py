"""A recipe: the components of a method with all settings resolved. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from zslbench.data.named import find_dataset
from zslbench.errors import SettingsError, UnknownName, ZslbenchError, did_you_mean
from zslbench.plugin.declarations import Component, Kind, Method, Reading, Variant
from zslbench.plugin.lookup import PluginInfo, Registered, Registry
from zslbench.plugin.presets import UNTIL, Preset, select_presets
from zslbench.plugin.settings import ComponentSettings, build, fields_of, offset_of, schedule_of
from zslbench.plugin.targets import settings_model

Overlay = TypeVar("Overlay", Variant, Reading)

COMPOSED = ("embedding", "generator", "classifier")
"""The kinds of components that make up a method."""


def paced_of(models: Mapping[Kind, type[ComponentSettings]]) -> Kind | None:
    """The kind of component whose training selection paces, by the models of all settings: the first of
    generator, embedding and classifier with a setting of type ``Epochs``; None: none has one."""
    kinds: tuple[Kind, ...] = ("generator", "embedding", "classifier")
    return next((kind for kind in kinds if kind in models and schedule_of(models[kind]) is not None), None)


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
    """Hyper-parameters chosen on validation, with the candidates of each."""
    preset: str | None
    """Names of the presets in use; None: none."""
    plugins: tuple[PluginInfo, ...] = ()
    """The plugins that provide its components."""
    reading: Reading | None = None
    """Which reading of the paper it follows; None: the method has no readings."""
    default_reading: bool = True
    """Whether it is the method's first."""
    tuned: tuple[Mapping[str, Any], ...] = ()
    """Name (``preset``) and provenance of each preset in use that came from a search."""
    until: int | None = None
    """The epoch of the schedule after which training stops; None: its end."""

    @property
    def label(self) -> str:
        """Its name in tables."""
        shown = None if self.reading is None or self.default_reading else self.reading.name
        return label_text(self.method, self.variant, shown)

    @property
    def transductive(self) -> tuple[str, ...]:
        """What its components know about test images, as its reading declares."""
        return tuple(self.reading.transductive) if self.reading else ()

    @property
    def calibrated(self) -> str | None:
        """The offset between seen and unseen classes that is the method's own; None: it has none, or 0."""
        kind: Kind = "classifier"
        name = offset_of(type(self.parts[kind].settings))
        if name is None:
            return None
        if self.parts[kind].values()[name] is None:
            kind = "embedding"
        if f"{kind}.{name}" in self.search:
            return "chosen on validation"
        offset = self.parts[kind].values().get(name)
        return f"{offset:g}" if offset else None

    @property
    def paced(self) -> Kind | None:
        """The kind of component whose training selection paces, see :func:`paced_of`."""
        return paced_of({kind: type(part.settings) for kind, part in self.parts.items()})

    @property
    def schedule(self) -> str | None:
        """The setting that holds the length of the schedule, ``"generator.epochs"``."""
        return f"{self.paced}.{schedule_of(type(self.parts[self.paced].settings))}" if self.paced else None

    @property
    def epochs(self) -> int | None:
        """The length of the schedule."""
        if self.paced is None or self.schedule is None:
            return None
        return int(self.parts[self.paced].values()[self.schedule.partition(".")[2]])

    @property
    def last(self) -> int | None:
        """The last epoch of the schedule that is trained."""
        return self.until or self.epochs

    def setting_names(self) -> set[str]:
        """The settings that its components have, ``"generator.lr"`` and so on."""
        return {
            f"{kind}.{name}" for kind, part in self.parts.items() for name in fields_of(type(part.settings))
        }

    def with_settings(self, overlay: Mapping[str, Any]) -> Recipe:
        """The recipe with some settings changed.

        Raises:
            SettingsError: an unknown setting or a wrong value.
        """
        changed: dict[Kind, dict[str, Any]] = {}
        for key, value in overlay.items():
            kind, _, name = key.partition(".")
            if kind not in self.parts:
                has = ", ".join(self.parts)
                raise SettingsError(f"setting '{key}': method '{self.method}' has no {kind}; it has {has}")
            changed.setdefault(kind, {})[name] = value  # type: ignore[arg-type]
        parts = dict(self.parts)
        for of, values in changed.items():
            part = parts[of]
            given = part.settings.flat("python") | values
            parts[of] = replace(part, settings=build(type(part.settings), given, f"{of} '{part.name}'"))
        return replace(self, parts=MappingProxyType(parts))

    def candidates(self) -> Iterator[tuple[dict[str, Any], Recipe]]:
        """Every combination of the searched hyper-parameters: the settings, and the recipe with them."""
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
    """Resolve a request to a recipe.

    Settings come from, later ones winning: components' defaults, the method, the reading, the presets, the
    variant, the user. Those of the method, reading or presets for a component that the variant swaps out do
    not apply.

    Args:
        method: a registered method; None: a composition of ``components``.
        variant: one of the method's; one that changes nothing is the method itself.
        reading: one of the method's readings of its paper; None: its first.
        components: ``{"embedding": "identity"}`` and so on.
        preset: a preset's name, ``method:name`` for another method's, or a TOML file; of several, later ones
            win; None: the data set's preset where the method has one. Under a reading other than the first,
            ``<name>-<reading>`` replaces ``<name>`` where it exists. A composition takes
            from a method's preset, and from the method and its first reading, the settings of components
            that both have.
        settings: the user's, ``{"generator.lr": 1e-4}``.
        epochs: the schedule's length, whichever component it belongs to.

    Raises:
        UnknownName: no such method, variant, reading, component, data set or preset.
        SettingsError: an unknown setting or a wrong value.
        ZslbenchError: the components do not make up a method.
    """
    declared = _declared(registry, method, {k: v for k, v in (components or {}).items() if v is not None})
    chosen_variant = _named("variant", declared, declared.variants, variant)
    if chosen_variant is not None and not chosen_variant.settings and not chosen_variant.components:
        chosen_variant = None
    default = declared.readings[0] if declared.readings else None
    chosen_reading = _named("reading", declared, declared.readings, reading) or default
    composition = registry.composition(declared, chosen_variant)
    chosen: dict[Kind, Registered[Component]] = {"dataset": find_dataset(registry, dataset, root=data_root)}
    chosen |= {kind: one for kind, one in composition.items() if one is not None}
    unchanged = chosen.keys() - (chosen_variant.components if chosen_variant else {})

    def unswapped(values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in values.items() if key.partition(".")[0] in unchanged}

    suffix = None if chosen_reading is None or chosen_reading is default else chosen_reading.name
    presets = select_presets(
        declared.presets,
        preset,
        dataset.lower(),
        suffix,
        lambda name: registry.method(name).declaration.presets,
    )
    if method is None:
        presets = [_of_shared_components(registry, declared, one) for one in presets]
    plugins = {one.plugin.name: one.plugin for one in chosen.values()}
    recipe = Recipe(
        method=declared.name,
        variant=chosen_variant.name if chosen_variant else None,
        group=declared.group,
        tasks=tuple(declared.tasks),
        parts=MappingProxyType({kind: Part(one, settings_model(one)()) for kind, one in chosen.items()}),
        search=MappingProxyType({}),
        preset=" + ".join(one.name for one in presets) or None,
        plugins=tuple(plugins[name] for name in sorted(plugins)),
        reading=chosen_reading,
        default_reading=suffix is None,
        tuned=tuple({"preset": one.name, **one.provenance} for one in presets if one.provenance),
    )
    of_reading = unswapped(chosen_reading.settings) if chosen_reading else {}
    of_presets = unswapped({key: value for one in presets for key, value in one.settings.items()})
    nearest = dict(chosen_variant.settings if chosen_variant else {}) | dict(settings or {})
    merged = unswapped(declared.settings) | of_reading | of_presets | nearest
    if epochs is not None:
        if recipe.schedule is None:
            raise SettingsError(
                f"--epochs {epochs}: method '{recipe.method}' has no schedule (no setting of type Epochs)"
            )
        merged[recipe.schedule] = epochs
    names = recipe.setting_names()
    try:
        recipe = recipe.with_settings(merged)
    except SettingsError as error:
        if foreign := [one.name for one in presets if not names.issuperset(unswapped(one.settings))]:
            raise SettingsError(f"preset {', '.join(foreign)}: {error}") from None
        raise
    if recipe.paced in unchanged and recipe.schedule not in nearest and epochs is None:
        recipe = replace(recipe, until=_until(recipe, presets))
    # Tuned presets were chosen on validation: what they hold is not searched again.
    tuned = {key for one in presets if one.provenance for key in one.settings}
    fixed = {*of_reading, *nearest, *tuned}
    search = {k: tuple(v) for k, v in unswapped(declared.search).items() if k not in fixed}
    return replace(recipe, search=MappingProxyType(search))


def label_text(method: str, variant: str | None, reading: str | None) -> str:
    """The name of a method in tables.

    >>> label_text("sc-egg", "no-lce", "authors")
    'sc-egg (no-lce) [authors]'
    """
    return method + (f" ({variant})" if variant else "") + (f" [{reading}]" if reading else "")


def _declared(registry: Registry, method: str | None, components: Mapping[str, str]) -> Method:
    if method is not None and not components:
        return registry.method(method).declaration
    embedding, generator, classifier = map(components.get, COMPOSED)
    if method is not None or embedding is None or classifier is None:
        raise ZslbenchError(
            "name either a method or a composition: --embedding NAME [--generator NAME] --classifier NAME "
            "(zslbench methods lists them)"
        )
    return composition(embedding, classifier, generator)


def _until(recipe: Recipe, presets: Sequence[Preset]) -> int | None:
    """Where training stops: what the last preset that sets the schedule says."""
    found = None
    for one in presets:
        if recipe.schedule in one.settings:
            found = one.until
        elif one.until is not None:
            raise SettingsError(f"preset {one.name}: has '{UNTIL}' but does not set {recipe.schedule}")
    if found is not None and found > (recipe.epochs or 0):
        raise SettingsError(f"preset: '{UNTIL} = {found}' is beyond {recipe.schedule}={recipe.epochs}")
    return found


def _of_shared_components(registry: Registry, composed: Method, preset: Preset) -> Preset:
    """What a method and its preset have for the components that a composition shares with the method."""
    owner, of_method, _ = preset.name.rpartition(":")
    if not of_method or preset.name.endswith(".toml"):
        return preset
    theirs = registry.method(owner).declaration
    shared = [kind for kind in COMPOSED if getattr(theirs, kind) == getattr(composed, kind) is not None]

    def of_shared(settings: Mapping[str, Any]) -> dict[str, Any]:
        return {key: one for key, one in settings.items() if key.partition(".")[0] in shared}

    of_preset = of_shared(preset.settings)
    if not of_preset:
        raise SettingsError(f"preset {preset.name}: has no settings of the components of {composed.name}")
    # Without the method's own settings its components may not fit together: APN's classifier needs its heads.
    reading = theirs.readings[0].settings if theirs.readings else {}
    return replace(preset, settings=of_shared(theirs.settings) | of_shared(reading) | of_preset)


def composition(embedding: str, classifier: str, generator: str | None = None) -> Method:
    """A method composed of these components and named after them."""
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
