"""Published figures: ``published_figures/results.csv`` and its sources, and ablations of methods' own papers.

A number printed as ``60.3`` stands for anything from 60.25 to 60.35. H = 2US/(U+S) rises with U and S, so the
printed U and S bound H; a printed H whose own range lies outside these bounds cannot be right. All of this is
exact arithmetic. Imports nothing heavy.
"""

from __future__ import annotations

import csv
import functools
import io
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from typing import Literal, TypeVar, get_args

from zslbench.errors import DataError, PluginError
from zslbench.evaluation.metrics import METRICS
from zslbench.plugin.declarations import Method

Origin = Literal[
    "own paper", "own release", "survey", "quoted in a paper", "quoted in a release", "reproduction"
]
"""Who prints the figures, those nearest to the method's authors first. A release is a repository: its README,
notebooks and released models."""

DISPUTED_MARK = "‡"
DISPUTED_NOTE = f"{DISPUTED_MARK} the printed H does not follow from the printed U and S, even with rounding"

COMPARABLE_FEATURES = ("res101", "mean")
"""Features of runs that are comparable with published rows: the survey's, and means over regions, which
replace them where a data set has none."""

SENTENCES = "sent1024"
"""What published rows call 1024-d sentence embeddings of classes."""

FIGURES = {one.name: one for one in METRICS.values() if one.published}
"""The metrics that published results have, by name."""

_GZSL = tuple(name for name, metric in FIGURES.items() if metric.group == "GZSL")

_NAMES = ("method", "group", "citation", "dataset", "source", "note")
_COLUMNS = (*_NAMES, *(one.key for one in FIGURES.values()), "semantics", "finetuned", "features")

_ORIGINS: Mapping[str, tuple[Origin, Origin]] = {
    "paper": ("own paper", "quoted in a paper"),
    "release": ("own release", "quoted in a release"),
    "survey": ("survey", "survey"),
    "reproduction": ("reproduction", "reproduction"),
}
"""By kind of source: the origin of the authors' own method, and of anyone else's."""

_FIGURE = re.compile(r"[0-9]{1,3}(\.[0-9]{0,6})?")

T = TypeVar("T")


@dataclass(frozen=True)
class PublishedRow:
    """What one source prints about one method on one data set.

    Raises:
        ValueError: a figure is not a number or not a percentage.
    """

    method: str
    """As printed, ``"SC-EGG"``."""
    group: str
    """``embedding`` or ``generative``."""
    citation: str
    dataset: str
    """In zslbench's spelling: ``cub``, ``sun``, ``awa2``, ``awa1``, ``apy``, ``flo``."""
    printed: Mapping[str, str]
    """Every one of ``FIGURES`` as printed, ``"60.3"``; empty where none is printed."""
    source: str
    remark: str = ""
    """From the file of results."""
    semantics: str = "att"
    """``att`` or ``sent1024``."""
    finetuned: bool = False
    """Whether the backbone was trained on the seen classes."""
    features: str = ""
    """Where the source names its visual features; empty: it does not."""
    origin: Origin = "quoted in a paper"
    variant: str | None = None
    """The variant in a method's own ablation; None: the method itself."""

    def __post_init__(self) -> None:
        for text in filter(None, self.printed.values()):
            if not _FIGURE.fullmatch(text) or float(text) > 100:
                raise ValueError(f"a figure is not a percentage: {text[:20]!r}")

    @functools.cached_property
    def figures(self) -> Mapping[str, float]:
        """In percent; NaN where none is printed."""
        return {name: float(text) if text else math.nan for name, text in self.printed.items()}

    def rounding(self, figure: str) -> float:
        """Half a unit of a figure's last printed digit: 0.05 for ``60.3``; 0 where none is printed."""
        return float(_half_unit(self.printed[figure])) if self.printed[figure] else 0.0

    @property
    def empty(self) -> bool:
        """Whether the source lists the method without a single figure."""
        return not any(self.printed.values())

    @property
    def complete(self) -> bool:
        """Whether U, S and H are printed, so that H can be checked."""
        return all(self.printed[name] for name in _GZSL)

    @property
    def h_recomputed(self) -> float:
        """2US/(U+S) of the printed U and S, in percent; NaN where either is not printed."""
        u, s = self.printed["U"], self.printed["S"]
        return float(_harmonic(Fraction(u), Fraction(s))) if u and s else math.nan

    @functools.cached_property
    def dispute(self) -> str:
        """Why the printed H cannot follow from the printed U and S; empty: it can, or one is missing."""
        if not self.complete:
            return ""
        lows, highs = zip(*(_range(self.printed[name]) for name in ("U", "S")), strict=True)
        low, high = _harmonic(*lows), _harmonic(*highs)
        h = self.printed["H"]
        printed_low, printed_high = _range(h)
        if printed_low <= high and low <= printed_high:
            return ""
        digits = max(_decimals(self.printed[name]) for name in _GZSL) + 1
        return (
            f"printed H {h}, but 2US/(U+S) of the printed U and S is {self.h_recomputed:.{digits}f} "
            f"({float(low):.{digits}f} to {float(high):.{digits}f} within their rounding)"
        )

    @property
    def disputed(self) -> bool:
        """Whether the printed H cannot follow from the printed U and S."""
        return bool(self.dispute)

    @property
    def note(self) -> str:
        """What a reader should know about the row, a dispute included."""
        return "; ".join(filter(None, (self.dispute, self.remark)))

    def differences(self, semantics: str = "att", features: str = "res101") -> tuple[str, ...]:
        """How its conditions differ from a run's, a reason each; arguments as run records name them."""
        reasons = []
        if self.semantics != printed_semantics(semantics, self.dataset):
            names = {"att": "class attributes", SENTENCES: "1024-d sentence embeddings"}
            reasons.append(names.get(self.semantics, self.semantics))
        if self.finetuned:
            reasons.append("fine-tuned backbone")
        if self.features and not self.features.startswith("GBU"):  # data sets come with the survey's
            reasons.append(self.features)
        if features not in COMPARABLE_FEATURES:
            reasons.append(f"features other than {features}")
        return tuple(reasons)


def printed_semantics(semantics: str, dataset: str) -> str:
    """What published rows call the semantics that a run record names.

    The ``att`` of FLO holds text embeddings: the data set has no attributes. Others than a data set's own are
    in no published row.
    """
    own = "att" if dataset.lower() != "flo" else SENTENCES
    return {"att": own, "original_att": own, "sentence": SENTENCES}.get(semantics, semantics)


@dataclass(frozen=True)
class PublishedResults:
    """Figures from the literature.

    Several sources may print a method on a data set. Their rows are ranked by, in this order: any figure at
    all; the source asked for (a suite names one); the class semantics asked for; a frozen backbone; U, S and
    H all printed, so that H can be checked; nearness to the method's authors (``Origin``); the order of the
    file. Figures of different sources are never combined.
    """

    rows: tuple[PublishedRow, ...]

    @classmethod
    @functools.cache
    def load(cls) -> PublishedResults:
        """The results that come with the package."""
        folder = files("zslbench.experiment").joinpath("published_figures")
        return cls.read(
            *(folder.joinpath(name).read_text("utf-8") for name in ("results.csv", "sources.csv"))
        )

    @classmethod
    def read(cls, results: str, sources: str) -> PublishedResults:
        """From the text of two CSV files with the columns of the package's; figures as printed.

        Raises:
            DataError: lists every line that cannot be read.
        """

        def source(entry: Mapping[str, str]) -> tuple[str, str, str]:
            if entry["kind"] not in _ORIGINS:
                raise ValueError(f"kind {entry['kind']!r}: use {', '.join(_ORIGINS)}")
            return entry["source"], entry["kind"], normal(entry["method"])

        faults: list[str] = []
        described = _read(sources, ("source", "kind", "method"), source, "sources.csv", faults)
        known = {name: (kind, owner) for name, kind, owner in described}

        def row(entry: Mapping[str, str]) -> PublishedRow:
            if entry["finetuned"] not in ("yes", "no"):
                raise ValueError(f"finetuned '{entry['finetuned']}': write yes or no")
            if entry["source"] not in known:
                raise ValueError(f"source '{entry['source']}' is not in sources.csv")
            kind, owner = known[entry["source"]]
            return PublishedRow(
                **{name: entry[name] for name in ("method", "group", "citation", "dataset", "source")},
                printed={name: entry[metric.key] for name, metric in FIGURES.items()},
                remark=entry["note"],
                semantics=entry["semantics"],
                finetuned=entry["finetuned"] == "yes",
                features=entry["features"],
                origin=_ORIGINS[kind][owner != normal(entry["method"])],
            )

        rows = _read(results, _COLUMNS, row, "results.csv", faults)
        if faults:
            raise DataError("published results", faults)
        return cls(tuple(rows))

    def names(self, of: Literal["method", "dataset", "source"]) -> tuple[str, ...]:
        """Names of methods as printed, of data sets or of sources, in the order of the file."""
        return tuple(dict.fromkeys(getattr(one, of) for one in self.rows))

    def all(
        self, method: str, dataset: str | None = None, source: str | None = None, *, semantics: str = "att"
    ) -> tuple[PublishedRow, ...]:
        """Every row of a method, best first by the rules above; empty: nothing is published.

        Args:
            method: its name in any spelling; case, spaces and punctuation do not count.
            dataset: only this one; None: all.
            source, semantics: those to rank first; semantics as run records name them.
        """
        found = (row for row in self.rows if normal(row.method) == normal(method))

        def rank(row: PublishedRow) -> tuple[bool, bool, bool, bool, bool, int]:
            other_semantics = row.semantics != printed_semantics(semantics, row.dataset)
            distance = get_args(Origin).index(row.origin)
            return row.empty, row.source != source, other_semantics, row.finetuned, not row.complete, distance

        wanted = (row for row in found if dataset is None or normal(row.dataset) == normal(dataset))
        return tuple(sorted(wanted, key=rank))

    def find(
        self, method: str, dataset: str, source: str | None = None, *, semantics: str = "att"
    ) -> PublishedRow | None:
        """The first of :meth:`all` with any figure; None: nothing is published.

        Where the source asked for has no figure, the row is from another one; its ``source`` names it.
        """
        rows = self.all(method, dataset, source, semantics=semantics)
        return next((one for one in rows if not one.empty), None)


def published_ablation(method: Method) -> Mapping[tuple[str, str], PublishedRow]:
    """The printed figures by variant and data set (in lower case); empty: the method declares none.

    Raises:
        PluginError: the file that the method declares is missing, or not what ``Method.published`` describes.
    """
    if method.published is None:
        return {}
    package, _, name = method.published.partition(":")
    where = f"method '{method.name}': published figures {method.published}"
    try:
        text = files(package).joinpath(name).read_text("utf-8")
    except (ImportError, OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{where}: cannot be read ({error})") from error
    found: dict[tuple[str, str], PublishedRow] = {}

    def row(entry: Mapping[str, str]) -> None:
        key = entry["variant"], entry["dataset"].lower()
        if key in found:
            raise ValueError(f"variant '{key[0]}' on {key[1]} is listed twice")
        found[key] = PublishedRow(
            method=method.name,
            group=method.group,
            citation=method.paper,
            dataset=key[1],
            printed={name: entry[metric.key] for name, metric in FIGURES.items()},
            source=entry["source"],
            remark=entry["note"],
            origin="own paper",
            variant=key[0],
        )

    faults: list[str] = []
    columns = ("variant", "dataset", *(one.key for one in FIGURES.values()), "source", "note")
    _read(text, columns, row, where, faults)
    if faults:
        raise PluginError("; ".join(faults))
    return found


def normal(name: str) -> str:
    """A name without differences of spelling: ``"f-CLSWGAN"`` and ``"f_clswgan"`` are ``"fclswgan"``."""
    decomposed = unicodedata.normalize("NFKD", name).lower()
    return "".join(one for one in decomposed if one.isascii() and one.isalnum())


def _read(
    text: str, columns: Iterable[str], parse: Callable[[Mapping[str, str]], T], name: str, faults: list[str]
) -> list[T]:
    """Parse each line of a CSV file; ``faults`` gets those that cannot be read, and missing columns."""
    reader = csv.DictReader(io.StringIO(text))
    if lacking := [one for one in columns if one not in (reader.fieldnames or ())]:
        faults.append(f"{name}: no column {', '.join(lacking)}")
        return []
    found = []
    try:
        for line in reader:
            try:
                found.append(parse({key: (line[key] or "").strip() for key in columns}))
            except ValueError as error:
                faults.append(f"{name}, line {reader.line_num}: {error}")
    except csv.Error as error:  # such as a field of over 128 kB
        faults.append(f"{name}, line {reader.line_num}: {error}")
    return found


def _harmonic(u: Fraction, s: Fraction) -> Fraction:
    return 2 * u * s / (u + s) if u + s else Fraction(0)


def _range(text: str) -> tuple[Fraction, Fraction]:
    """What a printed percentage can stand for, ends included, as either may be rounded to it."""
    exact, half = Fraction(text), _half_unit(text)
    return max(Fraction(0), exact - half), min(Fraction(100), exact + half)


def _half_unit(text: str) -> Fraction:
    return Fraction(1, 2) / Fraction(10) ** _decimals(text)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])
