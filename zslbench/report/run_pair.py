"""A comparison of two runs: its parts, as tables for readers and as rows for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from zslbench.evaluation.metrics import Metric
from zslbench.report.bootstrap import ClassInterval
from zslbench.report.differences import Difference, without_seed
from zslbench.report.results import method_label, selection_mark, shortened
from zslbench.report.statistics import Paired
from zslbench.report.tables.model import Cell, signed
from zslbench.store.record import RunRecord

Rows = list[dict[str, Any]]

CLASSES = 5
"""How many of the biggest wins, and of the biggest losses, are shown."""


@dataclass(frozen=True)
class FigurePair:
    """One metric of two runs, in percent; NaN where a run lacks it."""

    metric: Metric
    a: float
    b: float
    over_classes: ClassInterval | None = None
    """The difference with its interval over classes; None: it is not a mean over classes."""

    @property
    def figure(self) -> str:
        """The metric's name."""
        return self.metric.name

    @property
    def difference(self) -> float:
        """A less B, in percentage points."""
        return self.a - self.b


@dataclass(frozen=True)
class ClassPair:
    """One class in two runs; accuracies in percent."""

    task: str
    """``GZSL`` or ``CZSL``."""
    side: str
    name: str
    images: int
    a: float
    b: float

    @property
    def difference(self) -> float:
        """A less B, in percentage points."""
        return self.a - self.b

    @property
    def sign(self) -> int:
        """1: A is better. Differences below a thousandth of a point come from rounding: no class has 100,000
        images."""
        return 0 if abs(self.difference) < 1e-3 else 1 if self.difference > 0 else -1


@dataclass(frozen=True)
class Tally:
    """In how many classes of a side one run is better than the other."""

    task: str
    side: str
    wins: int
    """Classes in which A is better."""
    losses: int
    ties: int


@dataclass(frozen=True)
class ImagePair:
    """Test images that only one of two runs gets right."""

    task: str
    side: str
    images: int
    both: int
    only_a: int
    only_b: int
    p: float
    """McNemar's exact test: the chance of a split of ``only_a + only_b`` images at least this uneven, if both
    runs were equally good. It counts images, not classes, and takes them as independent."""

    @property
    def neither(self) -> int:
        return self.images - self.both - self.only_a - self.only_b


@dataclass(frozen=True)
class SeedPair:
    """One metric of two rows of a table, paired over seeds."""

    metric: Metric
    a: float
    """Mean of A's row over the seeds that both have, in percent."""
    b: float
    paired: Paired

    @property
    def figure(self) -> str:
        """The metric's name."""
        return self.metric.name


@dataclass(frozen=True)
class Comparison:
    """Two runs compared. Differences are A less B; a win is one of A."""

    a: RunRecord
    b: RunRecord
    differences: tuple[Difference, ...]
    refusals: tuple[str, ...]
    """Why their figures cannot be compared; if there is any, all that follows is empty."""
    warnings: tuple[str, ...] = ()
    figures: tuple[FigurePair, ...] = ()
    classes: tuple[ClassPair, ...] = ()
    tallies: tuple[Tally, ...] = ()
    images: tuple[ImagePair, ...] = ()
    seeds: tuple[SeedPair, ...] = ()
    """Over the seeds that the store has of both rows, at least two; empty: it has none."""
    remarks: tuple[str, ...] = ()
    """What could not be compared, and why."""

    @property
    def only_seed(self) -> bool:
        """Whether nothing that figures depend on differs but the seed."""
        return without_seed(self.a) == without_seed(self.b)

    @property
    def title(self) -> str:
        """Which run is A and which is B."""
        return f"A: {_name(self.a)} · B: {_name(self.b)}"

    def tables(self, classes: int = CLASSES) -> Iterator[tuple[str, Rows]]:
        """Title and rows of each section that is not empty, for readers; selections are marked."""
        marks = {"A": f"A{selection_mark(self.a)}", "B": f"B{selection_mark(self.b)}"}
        for title, rows in self._sections(classes):
            if rows:
                empty = {name for name in rows[0] if all(row[name] is None for row in rows)} - {"A", "B"}
                shown = [name for name in rows[0] if name not in empty]
                yield title, [{marks.get(name, name): row[name] for name in shown} for row in rows]

    def notes(self) -> list[str]:
        """What a reader of the tables must know."""
        texts = ["nothing differs but the seed"] if self.only_seed else []
        texts += [*self.warnings, *self.remarks]
        if any(one.over_classes for one in self.figures):
            texts.append("intervals: 95 %, bootstrap over classes; they say nothing about other seeds")
        if self.images:
            texts.append(
                "images: McNemar's exact test counts images, not classes, and takes them as independent; "
                "figures are means over classes"
            )
        if self.seeds:
            texts.append(
                "seeds: 95 % interval of the mean difference (Student's t), p of the exact sign-flip test, "
                "both paired over seeds; p is not corrected for the number of figures"
            )
        return texts

    def rows(self, classes: int | None = None) -> Rows:
        """One row for everything, for programs: ``section``, ``name``, ``a``, ``b``, ``difference``, ...

        Figures and differences are in percent.

        Args:
            classes: biggest wins and losses of each task; None: all classes.
        """
        found: Rows = []

        def row(section: str, name: str, a: Any, b: Any, **more: Any) -> None:
            columns = dict.fromkeys(("difference", "low", "high", "p", "n", "note"))
            found.append({"section": section, "name": name, "a": a, "b": b, **columns, **more})

        for text in self.refusals:
            row("not comparable", "", None, None, note=text)
        for text in self.warnings:
            row("warning", "", None, None, note=text)
        for one in self.differences:
            row(one.section, one.name, one.a, one.b)
        for figure in self.figures:
            over = figure.over_classes
            span = (
                {"low": over.low, "high": over.high, "n": over.classes, "note": over.reason} if over else {}
            )
            row("figures", figure.figure, figure.a, figure.b, difference=figure.difference, **span)
        for pair in self.seeds:
            test = pair.paired
            span = {
                "low": test.low,
                "high": test.high,
                "p": test.p,
                "n": len(test.seeds),
                "note": test.refusal,
            }
            row("seeds", pair.figure, pair.a, pair.b, difference=test.difference, **span)
        for tally in self.tallies:
            name, total = f"{tally.task} {tally.side}", tally.wins + tally.losses + tally.ties
            row("classes won", name, tally.wins, tally.losses, difference=tally.wins - tally.losses, n=total)
        for task in ("GZSL", "CZSL"):
            of_task = [one for one in self.classes if one.task == task]
            for each in of_task if classes is None else extremes(of_task, classes):
                more = {"difference": each.difference, "n": each.images, "note": f"{each.task} {each.side}"}
                row("class", each.name, each.a, each.b, **more)
        for image in self.images:
            name, a, b = f"{image.task} {image.side}", image.only_a, image.only_b
            row("images right alone", name, a, b, difference=a - b, p=image.p, n=image.images)
        return found

    def _sections(self, classes: int) -> Iterator[tuple[str, Rows]]:
        yield (
            "what differs",
            [
                {"about": one.section, "name": one.name, "A": _text(one.a), "B": _text(one.b)}
                for one in self.differences
            ],
        )
        yield (
            "figures, %",
            [
                {
                    "figure": one.figure,
                    **_pair(one.a, one.b, one.difference, one.metric.digits),
                    "95 % interval": _span(one.over_classes),
                    "remark": (one.over_classes.reason or None) if one.over_classes else None,
                }
                for one in self.figures
            ],
        )
        yield (
            f"figures over {len(self.seeds[0].paired.seeds) if self.seeds else 0} seeds, %",
            [
                {
                    "figure": one.figure,
                    **_pair(one.a, one.b, one.paired.difference, one.metric.digits),
                    "95 % interval": _span(one.paired),
                    "p": _p(one.paired.p),
                    "remark": one.paired.refusal or None,
                }
                for one in self.seeds
            ],
        )
        yield (
            "classes",
            [
                {
                    "task": f"{one.task} {one.side}",
                    "A better": one.wins,
                    "B better": one.losses,
                    "equal": one.ties,
                }
                for one in self.tallies
            ],
        )
        for task in ("GZSL", "CZSL"):
            yield (
                f"{task}: classes with the biggest differences, %",
                [
                    {"class": one.name, "side": one.side, "images": one.images}
                    | _pair(one.a, one.b, one.difference)
                    for one in extremes((one for one in self.classes if one.task == task), classes)
                ],
            )
        yield (
            "images",
            [
                {
                    "task": f"{one.task} {one.side}",
                    "images": one.images,
                    "both right": one.both,
                    "A alone": one.only_a,
                    "B alone": one.only_b,
                    "neither": one.neither,
                    "p (McNemar)": _p(one.p),
                }
                for one in self.images
            ],
        )


def extremes(pairs: Iterable[ClassPair], count: int) -> list[ClassPair]:
    """The ``count`` biggest wins and, below them, the ``count`` biggest losses of A, by difference.

    Of equal differences the class with more images goes first, then the name.
    """
    ordered = sorted(pairs, key=lambda one: (-abs(one.difference), -one.images, one.name))
    wins, losses = ([one for one in ordered if one.sign == sign][:count] for sign in (1, -1))
    return [*wins, *reversed(losses)]


def _name(record: RunRecord) -> str:
    """``"sc-egg [authors] on toy, seed 0 (last), run 0123abcd"``."""
    what = f"{method_label(record)} on {record.info.dataset}, seed {record.info.seed}"
    return f"{what}{selection_mark(record)}, run {record.info.id[:8]}"


def _pair(a: float, b: float, difference: float, digits: int = 1) -> dict[str, Any]:
    return {
        "A": Cell(a, digits=digits),
        "B": Cell(b, digits=digits),
        "A − B": Cell(difference, digits=digits, signed=True),
    }


def _span(found: ClassInterval | Paired | None) -> str | None:
    if found is None or math.isnan(found.low) or math.isnan(found.high):
        return None
    return f"{signed(found.low)} to {signed(found.high)}"


def _p(value: float) -> Cell:
    return Cell(value, "< 0.001" if value < 0.001 else None, digits=3)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return shortened(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
