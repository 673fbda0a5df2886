"""What a plugin registers: plain data, so that listing plugins imports neither torch nor pydantic.

A class is named by a string, ``"package.module:Class"``, and imported when it is used. Every declaration
checks itself when it is created, types included: a mistake is reported where the author made it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, get_args

Kind = Literal["dataset", "extractor", "embedding", "generator", "classifier"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Task = Literal["czsl", "gzsl"]

FULL = "full"
"""The variant that is the whole method; a method that declares no such variant is meant itself."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_FILE = re.compile(r"[A-Za-z_][\w.]*:[\w-]+\.csv")
_EMPTY: Mapping[str, Any] = MappingProxyType({})

_TYPES: dict[str, tuple[Any, str]] = {
    "str": (str, "a string"),
    "str | None": ((str, type(None)), "a string or None"),
    "Mapping": (Mapping, "a mapping"),
    "tuple": ((tuple, list), "a tuple"),
}
"""By the first word of a field's annotation: the types it takes, and what messages call them."""


def is_name(text: object) -> bool:
    """Whether this can be the name of anything that a plugin registers."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def _check_name(what: str, name: object) -> None:
    if not is_name(name):
        raise ValueError(
            f"{what} name {name!r}: use lower-case letters, digits and '-_.+', as in 'my-method'"
        )


def _check_types(where: str, declaration: Any) -> None:
    faults = []
    for one in fields(declaration):
        types, expected = _TYPES.get(str(one.type).partition("[")[0], (object, ""))
        if not isinstance(value := getattr(declaration, one.name), types):
            faults.append(f"{one.name} {value!r} is not {expected}")
    if faults:
        raise ValueError(f"{where}: " + "; ".join(faults))


def _check_target(what: str, target: str | None) -> None:
    if target is not None and not _TARGET.fullmatch(target):
        raise ValueError(f"{what} {target!r}: write 'package.module:Name'")


def _check_keys(where: str, settings: Mapping[str, Any]) -> None:
    for key in settings:
        kind, dot, name = key.partition(".")
        if kind not in KINDS or not dot or not name:
            raise ValueError(f"{where}: setting {key!r} must read '<kind>.<setting>', kind one of {KINDS}")


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
            raise ValueError(f"component {self.name!r}: kind {self.kind!r} is not one of {', '.join(KINDS)}")
        _check_name(self.kind, self.name)
        where = f"{self.kind} {self.name!r}"
        _check_types(where, self)
        _check_target(f"{where}: target", self.target)
        _check_target(f"{where}: settings", self.settings)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A named overlay on a method: changed settings (``"generator.feedback"``) and replaced components.

    ``components`` maps a kind to another component's name; ``{"generator": None}`` removes the generator.
    A variant named ``full`` that changes nothing lists the method itself among its variants.
    """

    name: str
    summary: str
    settings: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    components: Mapping[str, str | None] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        _check_name("variant", self.name)
        where = f"variant {self.name!r}"
        _check_types(where, self)
        _check_keys(where, self.settings)
        for kind, name in self.components.items():
            if kind not in ("embedding", "generator", "classifier"):
                raise ValueError(
                    f"{where}: component kind {kind!r} is not embedding, generator or classifier"
                )
            if not isinstance(name, str) and not (name is None and kind == "generator"):
                raise ValueError(f"{where}: {kind} {name!r} is not a component's name")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A named way of reading a method's paper: as printed, as the authors' code does it, ...

    An overlay of settings; presets, variants and the user's settings override it. It replaces no component. A
    preset that sets what a reading sets needs a second file for that reading, ``<dataset>-<reading>.toml``.
    """

    name: str
    summary: str
    settings: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        _check_name("reading", self.name)
        where = f"reading {self.name!r}"
        _check_types(where, self)
        _check_keys(where, self.settings)


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included, that a search may try for a setting.

    The setting's type decides whether only whole numbers are tried.

    Args:
        log: draw uniformly on a logarithmic scale, as suits learning rates.
        step: only ``low``, ``low + step``, ...; None: any number.

    Raises:
        ValueError: ``low`` is not below ``high``; or ``log`` with a ``low`` of 0 or less, or with ``step``.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    def __post_init__(self) -> None:
        for number in (self.low, self.high, *([] if self.step is None else [self.step])):
            if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
                raise ValueError(f"range {self}: {number!r} is not a finite number")
        if not self.low < self.high:
            raise ValueError(f"range {self}: {self.low} is not below {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError(f"range {self}: a logarithmic range starts above 0 and has no step")
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
    """Follows runs while they are computed and displays or records their progress.

    Args:
        name: what users type after ``--track``.
        target: ``"package.module:Class"`` of a :class:`zslbench.plugin.RunTracker`, imported only when the
            tracker is asked for.
        summary: one line for listings.
        requires: modules that it needs, as ``("mlflow",)``.
        extra: the extra of the plugin's distribution that installs them.

    Raises:
        ValueError: a field is malformed.
    """

    name: str
    target: str
    summary: str
    requires: tuple[str, ...] = ()
    extra: str | None = None

    def __post_init__(self) -> None:
        _check_name("tracker", self.name)
        if self.name == "none":
            raise ValueError("tracker name 'none': --track none means no tracker, use another name")
        where = f"tracker {self.name!r}"
        _check_types(where, self)
        _check_target(f"{where}: target", self.target)
        if not all(isinstance(one, str) for one in self.requires):
            raise ValueError(f"{where}: requires {self.requires!r} is not a tuple of module names")


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of the command line, ``zslbench NAME``.

    Args:
        name: what users type.
        target: ``"package.module:attribute"`` of a :class:`click.Command` or group, imported only when the
            command is used.
        summary: one line for ``zslbench --help``.
        function: ``"package.module:function"`` that does the same from Python, available as
            ``zslbench.NAME(...)``, with "_" for "-"; None: the command has no such function.

    Raises:
        ValueError: a field is malformed.
    """

    name: str
    target: str
    summary: str
    function: str | None = None

    def __post_init__(self) -> None:
        _check_name("command", self.name)
        where = f"command {self.name!r}"
        _check_types(where, self)
        _check_target(f"{where}: target", self.target)
        _check_target(f"{where}: function", self.function)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A composition of components that users run by one name.

    Args:
        name: what users type.
        embedding, generator, classifier: component names; generator None: the method has none.
        summary: one line for listings.
        group: ``"embedding"`` or ``"generative"``, the two groups of the field's tables.
        paper: citation.
        settings: overlay on the components' defaults, as ``{"embedding.normalize": "minmax"}``.
        presets: package with ``<dataset>.toml`` files, the settings per data set; None: no presets.
        search: hyper-parameters chosen on validation with their candidates, as
            ``{"classifier.gamma": (0.1, 1.0, 10.0)}``; a setting that the user gives is not searched.
        tasks: what the method can do; a method without ``"gzsl"`` is selected by CZSL accuracy.
        variants: named overlays (ablations).
        readings: the ways of reading the method's paper, the default first; empty: there is only one, without
            a name. What a reading sets is not searched.
        explain: ``"package.module:function"``, in a module that does not import torch. The function takes a
            run's settings, ``{kind: {name: value}}``, and returns rows ``(name, value)`` that ``zslbench
            show`` puts below the reading, as where these settings differ from the paper.
        tunable: ranges and options that ``zslbench tune`` searches unless the user names some, as
            ``{"generator.lr": Range(1e-5, 1e-3, log=True)}``; empty: ``search``.
        published: ``"package:file.csv"``, the printed figures of the method's own ablation, which
            ``zslbench ablate`` compares with. Columns ``variant`` (a variant's name, ``full`` for the whole
            method), ``dataset``, ``acc``, ``u``, ``s``, ``h`` (in percent; empty where none is printed),
            ``source`` and ``note``; others are ignored.

    Raises:
        ValueError: a field is malformed, or two variants or two readings share a name.
    """

    name: str
    embedding: str
    classifier: str
    summary: str
    generator: str | None = None
    group: Literal["embedding", "generative"] = "generative"
    paper: str = ""
    settings: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    presets: str | None = None
    search: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: _EMPTY)
    tasks: tuple[Task, ...] = ("czsl", "gzsl")
    variants: tuple[Variant, ...] = ()
    readings: tuple[Reading, ...] = ()
    explain: str | None = None
    published: str | None = None
    tunable: Mapping[str, Range | Options] = field(default_factory=lambda: _EMPTY)

    def __post_init__(self) -> None:
        _check_name("method", self.name)
        where = f"method {self.name!r}"
        _check_types(where, self)
        for keys in (self.settings, self.search, self.tunable):
            _check_keys(where, keys)
        if self.group not in ("embedding", "generative"):
            raise ValueError(f"{where}: group {self.group!r} is neither 'embedding' nor 'generative'")
        if not self.tasks or not set(self.tasks) <= set(get_args(Task)):
            raise ValueError(f"{where}: tasks {self.tasks!r} must name 'czsl', 'gzsl' or both")
        for key, candidates in self.search.items():
            if not isinstance(candidates, tuple | list) or not candidates:
                raise ValueError(f"{where}: search {key!r}: {candidates!r} is not a tuple of candidates")
        for key, space in self.tunable.items():
            if not isinstance(space, Range | Options):
                raise ValueError(f"{where}: tunable {key!r}: {space!r} is neither a Range nor Options")
        for overlays, type_ in ((self.variants, Variant), (self.readings, Reading)):
            what = type_.__name__.lower()
            for one in overlays:
                if not isinstance(one, type_):
                    raise ValueError(f"{where}: {what} {one!r} is not a {type_.__name__}")
            names = [one.name for one in overlays]
            if len(set(names)) != len(names):
                raise ValueError(f"{where}: two {what}s share a name: {', '.join(sorted(names))}")
        _check_target(f"{where}: explain", self.explain)
        if self.published is not None and not _FILE.fullmatch(self.published):
            raise ValueError(f"{where}: published {self.published!r}: write 'package:file.csv'")
