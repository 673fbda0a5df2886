"""Published figures: the package's ``results.csv`` and ``sources.csv``, and methods' own ablations.

Imports nothing heavy.
"""

from __future__ import annotations

import csv
import functools
import io
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import get_args

from zslbench.errors import DataError, PluginError
from zslbench.experiment.published.rows import (
    FIGURES,
    Origin,
    PublishedRow,
    printed_semantics,
    published_row,
)
from zslbench.plugin.declarations import Method

_ORIGINS: tuple[Origin, ...] = get_args(Origin)
_NAMES = ("method", "group", "citation", "dataset", "source", "note")
_COLUMNS = (*_NAMES, *(name.lower() for name in FIGURES), "semantics", "finetuned", "features")
_KINDS = ("paper", "release", "survey", "reproduction")


@dataclass(frozen=True)
class PublishedResults:
    """Printed figures of the literature.

    Several sources may print a method on a data set. They are ordered so, each rule for those that are equal
    by the ones before: rows with any figure; the source that was asked for (a suite names one); rows on the
    asked-for class semantics, then rows on a frozen backbone; rows that print U, S and H, so that H can be
    checked; the nearest to the method's authors, by ``Origin``; the order of the file. Figures of different
    sources are never put together.
    """

    rows: tuple[PublishedRow, ...]

    @classmethod
    def load(cls) -> PublishedResults:
        """The package's own."""
        return _packaged()

    @classmethod
    def read(cls, results: str, sources: str) -> PublishedResults:
        """From the text of two CSV files.

        Args:
            results: one line for each row, figures as they are printed, empty where they are not; the columns
                are those of the package's ``results.csv``.
            sources: columns ``source``, ``kind`` (paper, release, survey or reproduction) and ``method``:
                whose authors print it; empty: nobody's.

        Raises:
            DataError: names every line that cannot be read.
        """
        faults: list[str] = []
        kinds = {}
        for line, entry in _lines(sources, ("source", "kind", "method"), "sources.csv", faults):
            if entry["kind"] not in _KINDS:
                faults.append(
                    f"sources.csv, line {line}: kind {entry['kind']!r}: {', '.join(_KINDS)} are known"
                )
            kinds[entry["source"]] = (entry["kind"], normal(entry["method"]))
        rows = []
        for line, entry in _lines(results, _COLUMNS, "results.csv", faults):
            try:
                if entry["finetuned"] not in ("yes", "no"):
                    raise ValueError(f"finetuned '{entry['finetuned']}': write yes or no")
                if entry["source"] not in kinds:
                    raise ValueError(f"source '{entry['source']}' is not in sources.csv")
                rows.append(
                    published_row(
                        {name: entry[name.lower()] for name in FIGURES},
                        **{name: entry[name] for name in _NAMES},
                        semantics=entry["semantics"],
                        finetuned=entry["finetuned"] == "yes",
                        features=entry["features"],
                        origin=_origin(*kinds[entry["source"]], normal(entry["method"])),
                    )
                )
            except ValueError as error:
                faults.append(f"results.csv, line {line}: {error}")
        if faults:
            raise DataError("published results", faults)
        return cls(tuple(rows))

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of methods as printed, in the order of the file."""
        return tuple(dict.fromkeys(one.method for one in self.rows))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of data sets."""
        return tuple(dict.fromkeys(one.dataset for one in self.rows))

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of sources."""
        return tuple(dict.fromkeys(one.source for one in self.rows))

    def all(
        self, method: str, dataset: str | None = None, source: str | None = None, *, semantics: str = "att"
    ) -> tuple[PublishedRow, ...]:
        """Every row of a method, best first by the rules above; empty: nothing is published of it.

        Args:
            method: its name in any spelling: capitals, blanks and punctuation do not count.
            dataset: only this; None: all.
            source: the one that goes first, by its whole name; None: none does.
            semantics: the class semantics that go first, as run records call them.
        """
        name = normal(method)
        found = [
            one
            for one in self.rows
            if normal(one.method) == name and (dataset is None or normal(one.dataset) == normal(dataset))
        ]
        return tuple(
            sorted(
                found,
                key=lambda one: (
                    one.empty,
                    one.source != source,
                    one.semantics != printed_semantics(semantics, one.dataset),
                    one.finetuned,
                    not one.complete,
                    _ORIGINS.index(one.origin),
                ),
            )
        )

    def find(
        self, method: str, dataset: str, source: str | None = None, *, semantics: str = "att"
    ) -> PublishedRow | None:
        """The first of :meth:`all` with any figure; None: nothing is published.

        Its ``source`` says where it is from: it is another than the asked-for one where that has no figure.
        """
        rows = self.all(method, dataset, source, semantics=semantics)
        return next((one for one in rows if not one.empty), None)


def published_ablation(method: Method) -> Mapping[tuple[str, str], PublishedRow]:
    """The printed figures by variant and data set (in lower case); empty: the method declares none.

    Raises:
        PluginError: the file that the method declares is not there, or not what ``Method.published`` says.
    """
    if method.published is None:
        return {}
    package, _, name = method.published.partition(":")
    where = f"method '{method.name}': published figures {method.published}"
    try:
        text = files(package).joinpath(name).read_text("utf-8")
    except (ImportError, OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{where}: cannot be read ({error})") from error
    reader = csv.DictReader(io.StringIO(text))
    columns = ("variant", "dataset", *map(str.lower, FIGURES), "source", "note")
    lacking = [one for one in columns if one not in (reader.fieldnames or ())]
    if lacking:
        raise PluginError(f"{where}: no column {', '.join(lacking)}")
    found: dict[tuple[str, str], PublishedRow] = {}
    for entry in reader:
        variant, dataset = ((entry[name] or "").strip() for name in ("variant", "dataset"))
        key = (variant, dataset.lower())
        line = f"{where}, line {reader.line_num}"
        if key in found:
            raise PluginError(f"{line}: variant '{key[0]}' on {key[1]} is there twice")
        try:
            source, note = ((entry[name] or "").strip() for name in ("source", "note"))
            found[key] = published_row(
                {name: (entry[name.lower()] or "").strip() for name in FIGURES},
                method=method.name,
                group=method.group,
                citation=method.paper,
                dataset=dataset.lower(),
                source=source,
                note=note,
                origin="own paper",
                variant=variant,
            )
        except ValueError as error:
            raise PluginError(f"{line}: {error}") from None
    return found


def normal(name: str) -> str:
    """A name without what spellings differ in: ``"f-CLSWGAN"`` and ``"f_clswgan"`` are ``"fclswgan"``."""
    plain = unicodedata.normalize("NFKD", name).lower()
    return "".join(one for one in plain if one.isascii() and one.isalnum())


def _origin(kind: str, owner: str, method: str) -> Origin:
    if kind == "survey":
        return "survey"
    if kind == "reproduction":
        return "reproduction"
    if kind == "paper":
        return "own paper" if owner == method else "quoted in a paper"
    return "own release" if owner == method else "quoted in a release"


def _lines(
    text: str, columns: Iterable[str], name: str, faults: list[str]
) -> list[tuple[int, dict[str, str]]]:
    """Lines with their number, blanks around entries taken off; a fault where columns are lacking."""
    reader = csv.DictReader(io.StringIO(text))
    if lacking := [one for one in columns if one not in (reader.fieldnames or ())]:
        faults.append(f"{name}: no column {', '.join(lacking)}")
        return []
    return [(reader.line_num, {key: (entry[key] or "").strip() for key in columns}) for entry in reader]


@functools.cache
def _packaged() -> PublishedResults:
    here = files("zslbench.experiment.published")
    results, sources = (here.joinpath(name).read_text("utf-8") for name in ("results.csv", "sources.csv"))
    return PublishedResults.read(results, sources)
