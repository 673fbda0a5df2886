"""What a plugin registers: plain data, so that listing plugins imports neither torch nor pydantic.

A class is named by a string, ``"package.module:Class"``, and imported when it is used. A declaration checks
itself when it is created, types included, so a mistake is reported where the author made it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal, get_args

Kind = Literal["dataset", "extractor", "embedding", "generator", "classifier"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Task = Literal["czsl", "gzsl"]

TestKnowledge = Literal["test features", "test class prior"]
"""What components may know about test images if their reading declares it."""

FULL = "full"
"""The name of the whole method among its variants."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.+-]*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"), "package.module:Name"
_FILE = re.compile(r"[A-Za-z_][\w.]*:[\w-]+\.csv"), "package:file.csv"
_FORMS = {"target": _TARGET, "settings": _TARGET, "function": _TARGET, "explain": _TARGET, "published": _FILE}
"""By field: the pattern of its text, and an example."""

_TYPES: dict[str, tuple[Any, str]] = {
    "str": (str, "a string"),
    "str | None": ((str, type(None)), "a string or None"),
    "Mapping": (Mapping, "a mapping"),
    "tuple": ((tuple, list), "a tuple"),
}
"""By a field's annotation, up to its first bracket: the types that it accepts, and their name in messages."""

_EMPTY: Mapping[str, Any] = MappingProxyType({})


def is_name(text: object) -> bool:
    """Whether a plugin may register something under this name."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


@dataclass(frozen=True, kw_only=True)
class _Declaration:
    """Checks itself when it is created: its name, the types of its fields, the form of their text.

    Raises:
        ValueError: lists the faults.
    """

    name: str
    """What users type."""
    summary: str
    """One line for listings."""

    def __post_init__(self) -> None:
        if not self._is_named():
            raise ValueError(
                f"{self._kind()} name {self.name!r}: use lower-case letters, digits and '-_.+', "
                "for example 'my-method'"
            )
        # The other checks rely on the types.
        if faults := list(self._malformed()) or list(self._faults()):
            raise ValueError(f"{self._kind()} {self.name!r}: " + "; ".join(faults))

    def _is_named(self) -> bool:
        return is_name(self.name)

    def _kind(self) -> str:
        return type(self).__name__.lower()

    def _malformed(self) -> Iterator[str]:
        for one in fields(self):
            value = getattr(self, one.name)
            types, expected = _TYPES.get(str(one.type).partition("[")[0], (object, ""))
            pattern, example = _FORMS.get(one.name, (None, ""))
            if not isinstance(value, types):
                yield f"{one.name} {value!r} is not {expected}"
            elif pattern and isinstance(value, str) and not pattern.fullmatch(value):
                yield f"{one.name} {value!r}: write '{example}'"

    def _faults(self) -> Iterator[str]:
        """What else is wrong."""
        return iter(())


def _wrong_keys(*settings: Mapping[str, Any]) -> Iterator[str]:
    for key in (key for one in settings for key in one):
        kind, dot, name = str(key).partition(".")
        if kind not in KINDS or not dot or not name:
            yield f"setting {key!r}: write '<kind>.<setting>'; kinds: {', '.join(KINDS)}"


@dataclass(frozen=True, kw_only=True)
class Component(_Declaration):
    """One dataset, extractor, embedding, generator or classifier.

    Args:
        kind: which of the five interfaces ``target`` implements.
        target: ``"package.module:Class"``, imported when the component is used.
        settings: ``"package.module:Class"`` of a :class:`~zslbench.plugin.settings.ComponentSettings`, in a
            module that does not import torch; None: no settings.
        paper: where the component comes from.
        folder: for a data set, the folder below the data root that it reads; None: none. A note points
            out another folder with the data set's name, which users may have meant.
    """

    kind: Kind
    target: str
    settings: str | None = None
    paper: str = ""
    folder: str | None = None

    def _kind(self) -> str:
        return self.kind if self.kind in KINDS else "component"

    def _faults(self) -> Iterator[str]:
        if self.kind not in KINDS:
            yield f"kind {self.kind!r} is not one of {', '.join(KINDS)}"


@dataclass(frozen=True, kw_only=True)
class _Overlay(_Declaration):
    settings: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)

    def _faults(self) -> Iterator[str]:
        yield from _wrong_keys(self.settings)


@dataclass(frozen=True, kw_only=True)
class Variant(_Overlay):
    """A named overlay on a method: changed settings (``"generator.feedback"``) and replaced components.

    ``components`` maps a kind to another component's name; ``{"generator": None}`` removes the generator.
    A variant named ``full`` that changes nothing lists the method itself among its variants.
    """

    components: Mapping[str, str | None] = field(default_factory=lambda: _EMPTY)

    def _faults(self) -> Iterator[str]:
        yield from super()._faults()
        for kind, name in self.components.items():
            if kind not in ("embedding", "generator", "classifier"):
                yield f"component kind {kind!r} is not embedding, generator or classifier"
            elif not isinstance(name, str) and not (name is None and kind == "generator"):
                yield f"{kind} {name!r} is not a component's name"


@dataclass(frozen=True, kw_only=True)
class Reading(_Overlay):
    """A named way to read a method's paper: as printed, as the authors' code computes it, ...

    An overlay of settings, which presets, variants and the user's settings override. A preset that sets what
    a reading sets needs a second file for that reading, ``<dataset>-<reading>.toml``.

    ``transductive`` lists what its components know about test images (``TrainView.test``). Such runs are
    marked wherever they are shown and never ranked. A method's first reading cannot be transductive.
    """

    transductive: tuple[TestKnowledge, ...] = ()

    def _faults(self) -> Iterator[str]:
        yield from super()._faults()
        if unknown := [one for one in self.transductive if one not in get_args(TestKnowledge)]:
            known = ", ".join(map(repr, get_args(TestKnowledge)))
            yield f"transductive {unknown[0]!r} is not one of {known}"


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included, that a search may try for a setting.

    A setting that takes integers gets integers.

    Args:
        log: draw uniformly on a logarithmic scale, for example learning rates; ``low`` is then above 0.
        step: only ``low``, ``low + step``, ...; None: any number; not with ``log``.
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
        if self.step is not None and (self.high - self.low) / self.step > 1e9:
            raise ValueError(f"range {self}: more than a billion steps")

    def __str__(self) -> str:
        more = ":log" if self.log else "" if self.step is None else f":{self.step}"
        return f"{self.low}:{self.high}{more}"


@dataclass(frozen=True)
class Options:
    """Two or more values that a search may try for a setting."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.values, tuple) or len(self.values) < 2:
            raise ValueError(f"options {self.values!r}: give a tuple of two or more values")

    def __str__(self) -> str:
        return ",".join(str(one) for one in self.values)


@dataclass(frozen=True, kw_only=True)
class _Extra(_Declaration):
    """Something that may need libraries of an extra."""

    target: str
    requires: tuple[str, ...] = ()
    """Modules that it needs, for example ``("mlflow",)``."""
    extra: str | None = None
    """The extra of the plugin's distribution that installs them."""

    def _faults(self) -> Iterator[str]:
        if not all(isinstance(one, str) for one in self.requires):
            yield f"requires {self.requires!r} is not a tuple of module names"


@dataclass(frozen=True, kw_only=True)
class Tracker(_Extra):
    """Follows runs while they are computed and displays or records their progress.

    Args:
        name: what users type after ``--track``.
        target: ``"package.module:Class"`` of a :class:`zslbench.plugin.RunTracker`, imported when a user
            requests the tracker.
    """

    def _faults(self) -> Iterator[str]:
        yield from super()._faults()
        if self.name == "none":
            yield "--track none means no tracker; use another name"


@dataclass(frozen=True, kw_only=True)
class Executor(_Extra):
    """Computes runs in worker processes, on this machine or elsewhere.

    Args:
        name: what users type after ``--executor``.
        target: ``"package.module:Class"`` of a :class:`zslbench.experiment.RunExecutor`, imported when a user
            requests the executor.
        options: help of its own options, which users give as ``--NAME KEY=VALUE``; empty: it has none.
    """

    options: str = ""


@dataclass(frozen=True, kw_only=True)
class Command(_Declaration):
    """A command of the command line, ``zslbench NAME``.

    Args:
        target: ``"package.module:attribute"`` of a :class:`click.Command` or group, imported when the command
            is used.
        summary: one line for ``zslbench --help``; empty: it is not listed.
        function: ``"package.module:function"`` that does the same from Python, available as
            ``zslbench.NAME(...)``, with "_" for "-"; None: there is no such function.
    """

    target: str
    function: str | None = None


@dataclass(frozen=True, kw_only=True)
class Method(_Declaration):
    """A composition of components that users run by one name.

    Args:
        embedding, generator, classifier: component names; generator None: the method has none.
        group: ``"embedding"`` or ``"generative"``, the two groups of the field's tables.
        paper: citation.
        settings: overlay on the components' defaults, for example ``{"embedding.normalize": "minmax"}``.
        presets: package with ``<dataset>.toml`` files, the settings per data set; None: no presets.
        search: hyper-parameters selected on validation, with their candidates, for example
            ``{"classifier.gamma": (0.1, 1.0, 10.0)}``; a setting that the user gives is not searched.
        tasks: what the method can do; a method without ``"gzsl"`` is selected by CZSL accuracy.
        variants: named overlays (ablations).
        readings: the ways to read the method's paper, the default first; empty: there is only one, without a
            name. What a reading sets is not searched.
        explain: ``"package.module:function"``, in a module that does not import torch. The function takes a
            run's settings, ``{kind: {name: value}}`` with the data set's name as ``["dataset"]["name"]``, and
            returns rows ``(name, value)`` that ``zslbench show`` puts below the reading, for example where
            the settings differ from the paper.
        tunable: ranges and options that ``zslbench tune`` searches unless the user names others, for example
            ``{"generator.lr": Range(1e-5, 1e-3, log=True)}``; empty: ``search``.
        published: ``"package:file.csv"``, the printed figures of the method's own ablation, which
            ``zslbench ablate`` compares with. Columns ``variant`` (a variant's name, ``full`` for the whole
            method), ``dataset``, ``acc``, ``u``, ``s``, ``h`` (in percent; empty where none is printed),
            ``source`` and ``note``; others are ignored.
    """

    embedding: str
    classifier: str
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

    def _faults(self) -> Iterator[str]:
        yield from _wrong_keys(self.settings, self.search, self.tunable)
        if self.group not in ("embedding", "generative"):
            yield f"group {self.group!r} is neither 'embedding' nor 'generative'"
        if not self.tasks or not set(self.tasks) <= set(get_args(Task)):
            yield f"tasks {self.tasks!r}: name 'czsl', 'gzsl' or both"
        for key, candidates in self.search.items():
            if not isinstance(candidates, tuple | list) or not candidates:
                yield f"search {key!r}: {candidates!r} is not a tuple of candidates"
        for key, space in self.tunable.items():
            if not isinstance(space, Range | Options):
                yield f"tunable {key!r}: {space!r} is neither a Range nor Options"
        for overlays, type_ in ((self.variants, Variant), (self.readings, Reading)):
            what = type_.__name__
            yield from (
                f"{what.lower()} {one!r} is not a {what}" for one in overlays if not isinstance(one, type_)
            )
            names = Counter(one.name for one in overlays if isinstance(one, type_))
            if shared := sorted(name for name, count in names.items() if count > 1):
                yield f"two {what.lower()}s share a name: {', '.join(shared)}"
        if self.readings and getattr(self.readings[0], "transductive", ()):
            yield f"reading {self.readings[0].name!r} is transductive, so it cannot be the first, the default"
