"""What a plugin registers: plain data, so that listing plugins imports neither torch nor pydantic.

A class is named by a string, ``"package.module:Class"``, and imported when it is used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

Kind = Literal["dataset", "extractor", "embedding", "generator", "classifier"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Task = Literal["czsl", "gzsl"]

FULL = "full"
"""The variant that is the whole method; a method that declares none by this name is meant by it itself."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_FILE = re.compile(r"[A-Za-z_][\w.]*:[\w-]+\.csv")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{what} name {name!r}: use lower-case letters, digits and '-_.+', as in 'my-method'"
        )


def _check_target(what: str, target: object) -> None:
    if not isinstance(target, str) or not _TARGET.fullmatch(target):
        raise ValueError(f"{what} {target!r}: write 'package.module:Name'")


@dataclass(frozen=True, kw_only=True)
class Component:
    """One dataset, extractor, embedding, generator or classifier.

    Args:
        kind: which of the five interfaces ``target`` implements.
        name: what users type.
        target: ``"package.module:Class"``, imported only when the component runs.
        summary: one line for listings.
        settings: ``"package.module:Class"`` of a :class:`~zslbench.plugin.settings.ComponentSettings`, in a
            module that does not import torch (so a wrong setting is reported at once); None: no settings.
        paper: where the component comes from.

    Raises:
        ValueError: kind, name or target is malformed.
    """

    kind: Kind
    name: str
    target: str
    summary: str
    settings: str | None = None
    paper: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"component {self.name!r}: kind {self.kind!r} is none of {', '.join(KINDS)}")
        _check_name(self.kind, self.name)
        _check_target(f"{self.kind} {self.name!r}: target", self.target)
        if self.settings is not None:
            _check_target(f"{self.kind} {self.name!r}: settings", self.settings)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A named overlay on a method: changed settings (``"generator.feedback"``) and swapped components.

    ``components`` maps a kind to another component's name; ``{"generator": None}`` removes the generator.
    One that is named ``full`` and changes nothing is the method itself, with a place among its variants.
    """

    name: str
    summary: str
    settings: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    components: Mapping[str, str | None] = field(default_factory=lambda: _NOTHING)

    def __post_init__(self) -> None:
        _check_name("variant", self.name)
        _check_kinds(f"variant {self.name!r}", self.settings, self.components)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A named way of reading a method's paper: as it is printed, as its authors' code does, ...

    An overlay of settings below presets, variants and what the user sets. It changes no component. A preset
    that sets what a reading sets needs a twin for it, ``<dataset>-<reading>.toml``.
    """

    name: str
    summary: str
    settings: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def __post_init__(self) -> None:
        _check_name("reading", self.name)
        _check_kinds(f"reading {self.name!r}", self.settings, {})


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included, that a search may try for a setting.

    Whether they are whole numbers is told by the setting's type.

    Args:
        log: drawn evenly on a logarithmic scale, as learning rates should be.
        step: only ``low``, ``low + step``, ...; None: any number (of whole numbers: all).

    Raises:
        ValueError: ``low`` is not below ``high``, ``log`` begins at 0 or below, or goes with ``step``.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    def __post_init__(self) -> None:
        for number in (self.low, self.high, *([] if self.step is None else [self.step])):
            if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
                raise ValueError(f"range {self}: {number!r} is no finite number")
        if not self.low < self.high:
            raise ValueError(f"range {self}: {self.low} is not below {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError(f"range {self}: a logarithmic range begins above 0 and has no step")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError(
                f"range {self}: step {self.step} does not fit between {self.low} and {self.high}"
            )

    def __str__(self) -> str:
        more = ":log" if self.log else "" if self.step is None else f":{self.step}"
        return f"{self.low}:{self.high}{more}"


@dataclass(frozen=True)
class Options:
    """Values that a search may try for a setting.

    Raises:
        ValueError: fewer than two.
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple) or len(self.values) < 2:
            raise ValueError(f"options {self.values!r}: give a tuple of two or more values")

    def __str__(self) -> str:
        return ",".join(str(one) for one in self.values)


@dataclass(frozen=True, kw_only=True)
class Tracker:
    """Something that follows runs while they are computed and shows or keeps what they tell.

    Args:
        name: what users type after ``--track``.
        target: ``"package.module:Class"`` of a :class:`zslbench.plugin.RunTracker`, imported only when the
            tracker is asked for.
        summary: one line for listings.
        requires: modules that must be importable for it to work, as ``("mlflow",)``.
        extra: the extra of the plugin's distribution that installs them.

    Raises:
        ValueError: name, target or requirement is malformed.
    """

    name: str
    target: str
    summary: str
    requires: tuple[str, ...] = ()
    extra: str | None = None

    def __post_init__(self) -> None:
        _check_name("tracker", self.name)
        if self.name == "none":
            raise ValueError("tracker name 'none': it stands for no tracker at all")
        _check_target(f"tracker {self.name!r}: target", self.target)
        if not isinstance(self.requires, tuple) or not all(isinstance(one, str) for one in self.requires):
            raise ValueError(f"tracker {self.name!r}: requires {self.requires!r} is no tuple of module names")


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of the command line, ``zslbench NAME``.

    Args:
        name: what users type.
        target: ``"package.module:attribute"`` of a :class:`click.Command` or group, imported only when the
            command is used.
        summary: one line for ``zslbench --help``.
        function: ``"package.module:function"`` that does the same from Python, as ``zslbench.NAME(...)``;
            None: there is none.

    Raises:
        ValueError: name, target or function is malformed.
    """

    name: str
    target: str
    summary: str
    function: str | None = None

    def __post_init__(self) -> None:
        _check_name("command", self.name)
        _check_target(f"command {self.name!r}: target", self.target)
        if self.function is not None:
            _check_target(f"command {self.name!r}: function", self.function)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A composition of components that users run by one name.

    Args:
        name: what users type.
        embedding, generator, classifier: component names; a method without a generator has None.
        summary: one line for listings.
        group: ``"embedding"`` or ``"generative"``, the two groups of the field's tables.
        paper: citation.
        settings: overlay on the components' defaults, as ``{"embedding.normalize": "minmax"}``.
        presets: package holding ``<dataset>.toml`` files with the settings per data set; None: no presets.
        search: hyper-parameters offered to validation, each with its candidates, as
            ``{"classifier.gamma": (0.1, 1.0, 10.0)}``; a setting that the user gives is not searched.
        tasks: what the method can do; a method without ``"gzsl"`` is selected by CZSL accuracy.
        variants: named overlays (ablations).
        readings: the ways of reading the method's paper, the first of them the default; empty: there is
            only one, which has no name. What the reading sets is not searched.
        explain: ``"package.module:function"``, in a module that does not import torch. The function takes a
            run's settings, ``{kind: {name: value}}``, and returns rows ``(name, value)`` that ``zslbench
            show`` puts below the reading: where these settings differ from the paper, say.
        tunable: ranges and options that ``zslbench tune`` searches where the user names none, as
            ``{"generator.lr": Range(1e-5, 1e-3, log=True)}``; without them ``search`` is taken.
        published: ``"package:file.csv"``, the printed figures of the method's own ablation, which
            ``zslbench ablate`` sets beside its own. Columns ``variant`` (a variant's name, ``full`` for the
            whole method), ``dataset``, ``acc``, ``u``, ``s``, ``h`` (in percent; empty where none is
            printed), ``source`` and ``note``; others are ignored.

    Raises:
        ValueError: a name, kind or task is malformed, or two variants or two readings share a name.
    """

    name: str
    embedding: str
    classifier: str
    summary: str
    generator: str | None = None
    group: Literal["embedding", "generative"] = "generative"
    paper: str = ""
    settings: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    presets: str | None = None
    search: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: _NOTHING)
    tasks: tuple[Task, ...] = ("czsl", "gzsl")
    variants: tuple[Variant, ...] = ()
    readings: tuple[Reading, ...] = ()
    explain: str | None = None
    published: str | None = None
    tunable: Mapping[str, Range | Options] = field(default_factory=lambda: _NOTHING)

    def __post_init__(self) -> None:
        _check_name("method", self.name)
        where = f"method {self.name!r}"
        _check_kinds(where, self.settings, {})
        _check_kinds(where, self.search, {})
        _check_kinds(where, self.tunable, {})
        if self.group not in ("embedding", "generative"):
            raise ValueError(f"{where}: group {self.group!r} is neither 'embedding' nor 'generative'")
        if not self.tasks or not set(self.tasks) <= set(get_args(Task)):
            raise ValueError(f"{where}: tasks {self.tasks!r} must name 'czsl', 'gzsl' or both")
        for what, overlays in (("variants", self.variants), ("readings", self.readings)):
            names = [one.name for one in overlays]
            if len(set(names)) != len(names):
                raise ValueError(f"{where}: two {what} share a name: {', '.join(sorted(names))}")
        if self.explain is not None:
            _check_target(f"{where}: explain", self.explain)
        if self.published is not None and not (
            isinstance(self.published, str) and _FILE.fullmatch(self.published)
        ):
            raise ValueError(f"{where}: published {self.published!r}: write 'package:file.csv'")


def _check_kinds(where: str, settings: Mapping[str, Any], components: Mapping[str, Any]) -> None:
    for key in settings:
        kind, dot, name = key.partition(".")
        if kind not in KINDS or not dot or not name:
            raise ValueError(f"{where}: setting {key!r} must read '<kind>.<setting>', kind one of {KINDS}")
    for kind in components:
        if kind not in ("embedding", "generator", "classifier"):
            raise ValueError(f"{where}: component kind {kind!r} is not embedding, generator or classifier")
