"""Two runs compared: what differs, metrics with intervals, classes, images and seeds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zslbench.errors import ZslbenchError
from zslbench.evaluation.metrics import METRICS, Metric, headline_metrics
from zslbench.report.bootstrap import ClassAccuracies, ClassInterval, difference_over_classes
from zslbench.report.differences import Difference, differences, refusals, warnings, without_seed
from zslbench.report.results import method_label, selection_mark, shortened
from zslbench.report.statistics import Paired, compare_seeds
from zslbench.report.tables.model import Cell, signed
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

Records = list[dict[str, Any]]

CLASSES = 5
"""How many of the biggest wins, and of the biggest losses, are shown."""
_PARTS = (("GZSL", "unseen"), ("GZSL", "seen"), ("CZSL", "unseen"))
"""Tasks and sides that have figures of each class."""

# --- parts of a comparison -----------------------------------------------------------------------


@dataclass(frozen=True)
class FigurePair:
    """One metric of two runs, or its means over the seeds of two methods. In percent; NaN: missing."""

    metric: Metric
    a: float
    b: float
    over_classes: ClassInterval | None = None
    """The difference with its interval over classes; None: it is not a mean over classes."""
    paired: Paired | None = None
    """The difference over seeds; None: single runs are compared."""

    @property
    def figure(self) -> str:
        """The metric's name."""
        return self.metric.name

    @property
    def difference(self) -> float:
        """A minus B, in percentage points."""
        return self.a - self.b if self.paired is None else self.paired.difference

    @property
    def interval(self) -> ClassInterval | Paired | None:
        """Of the difference; None: there is none."""
        return self.paired or self.over_classes

    @property
    def reason(self) -> str:
        """Why the difference has no interval, or was not judged."""
        return self.paired.refusal if self.paired else self.over_classes.reason if self.over_classes else ""


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
        """A minus B, in percentage points."""
        return self.a - self.b

    @property
    def sign(self) -> int:
        """1: A is better. Differences below a thousandth of a point are rounding errors."""
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
class Comparison:
    """Two runs compared. Differences are A minus B; a win is one of A."""

    a: RunRecord
    b: RunRecord
    differences: tuple[Difference, ...]
    refusals: tuple[str, ...]
    """Why their figures cannot be compared; if there is any, all that follows is empty."""
    warnings: tuple[str, ...] = ()
    figures: tuple[FigurePair, ...] = ()
    classes: tuple[ClassPair, ...] = ()
    images: tuple[ImagePair, ...] = ()
    seeds: tuple[FigurePair, ...] = ()
    """Headline metrics over the seeds that the store has of both methods; empty: fewer than two."""
    remarks: tuple[str, ...] = ()
    """What could not be compared, and why."""

    @property
    def tallies(self) -> tuple[Tally, ...]:
        """Wins, losses and ties of A for each task and side that has classes."""
        found = []
        for part in _PARTS:
            if signs := [one.sign for one in self.classes if (one.task, one.side) == part]:
                found.append(Tally(*part, *map(signs.count, (1, -1, 0))))
        return tuple(found)

    @property
    def only_seed(self) -> bool:
        """Whether nothing that figures depend on differs but the seed."""
        return without_seed(self.a) == without_seed(self.b)

    @property
    def title(self) -> str:
        """Which run is A and which is B."""
        return f"A: {_name(self.a)} · B: {_name(self.b)}"

    def notes(self) -> list[str]:
        """What a reader of the tables must know."""
        texts = ["nothing differs but the seed"] if self.only_seed else []
        texts += [*self.warnings, *self.remarks]
        if any(one.over_classes for one in self.figures):
            texts.append("intervals: 95 %, bootstrap over classes; they do not cover other seeds")
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

    def rows(self, classes: int | None = None) -> Records:
        """One row for everything, for programs: ``section``, ``name``, ``a``, ``b``, ``difference``, ...

        Figures and differences are in percent.

        Args:
            classes: biggest wins and losses of each task; None: all classes.
        """
        found: Records = []

        def row(section: str, name: str, a: Any, b: Any, **more: Any) -> None:
            columns = dict.fromkeys(("difference", "low", "high", "p", "n", "note"))
            found.append({"section": section, "name": name, "a": a, "b": b, **columns, **more})

        for section, texts in (("not comparable", self.refusals), ("warning", self.warnings)):
            for text in texts:
                row(section, "", None, None, note=text)
        for one in self.differences:
            row(one.section, one.name, one.a, one.b)
        for pair in (*self.figures, *self.seeds):
            more: dict[str, Any] = {"difference": pair.difference}
            if over := pair.interval:
                more |= {"low": over.low, "high": over.high, "note": pair.reason}
            if pair.paired:
                more |= {"n": len(pair.paired.seeds), "p": pair.paired.p}
            elif pair.over_classes:
                more["n"] = pair.over_classes.classes
            row("seeds" if pair.paired else "figures", pair.figure, pair.a, pair.b, **more)
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

    def tables(self, classes: int = CLASSES) -> Iterator[tuple[str, Records]]:
        """Title and rows of each section that is not empty, for readers; selections are marked."""
        marks = {"A": f"A{selection_mark(self.a)}", "B": f"B{selection_mark(self.b)}"}
        for title, rows in self._sections(classes):
            if rows:
                empty = {name for name in rows[0] if all(row[name] is None for row in rows)} - {"A", "B"}
                shown = [name for name in rows[0] if name not in empty]
                yield title, [{marks.get(name, name): row[name] for name in shown} for row in rows]

    def _sections(self, classes: int) -> Iterator[tuple[str, Records]]:
        differing = ((one.section, one.name, _text(one.a), _text(one.b)) for one in self.differences)
        yield "what differs", _records("about, name, A, B", differing)
        figure = "figure, A, B, A − B, 95 % interval, p, remark"
        yield "figures, %", _records(figure, map(_figure_row, self.figures))
        common = self.seeds[0].paired.seeds if self.seeds and self.seeds[0].paired else ()
        yield f"figures over {len(common)} seeds, %", _records(figure, map(_figure_row, self.seeds))
        won = ((f"{one.task} {one.side}", one.wins, one.losses, one.ties) for one in self.tallies)
        yield "classes", _records("task, A better, B better, equal", won)
        for task in ("GZSL", "CZSL"):
            shown = extremes((one for one in self.classes if one.task == task), classes)
            extreme = ((one.name, one.side, one.images, *_pair(one)) for one in shown)
            title = f"{task}: classes with the biggest differences, %"
            yield title, _records("class, side, images, A, B, A − B", extreme)
        right = (
            (f"{one.task} {one.side}", one.images, one.both, one.only_a, one.only_b, one.neither, _p(one.p))
            for one in self.images
        )
        yield "images", _records("task, images, both right, A alone, B alone, neither, p (McNemar)", right)


def _records(columns: str, rows: Iterable[Sequence[Any]]) -> Records:
    return [dict(zip(columns.split(", "), row, strict=True)) for row in rows]


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


def _figure_row(one: FigurePair) -> Sequence[Any]:
    over, span = one.interval, None
    if over is not None and not (math.isnan(over.low) or math.isnan(over.high)):
        span = f"{signed(over.low)} to {signed(over.high)}"
    p = _p(one.paired.p) if one.paired else None
    return one.figure, *_pair(one, one.metric.digits), span, p, one.reason or None


def _pair(one: FigurePair | ClassPair, digits: int = 1) -> tuple[Cell, Cell, Cell]:
    a, b = (Cell(value, digits=digits) for value in (one.a, one.b))
    return a, b, Cell(one.difference, digits=digits, signed=True)


def _p(value: float) -> Cell:
    return Cell(value, "< 0.001" if value < 0.001 else None, digits=3)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return shortened(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


# --- comparing -----------------------------------------------------------------------------------


def compare(
    a: RunRecord | str,
    b: RunRecord | str,
    *,
    store: Store | Path | str | None = None,
    seeds: bool | None = None,
) -> Comparison:
    """Compare two runs.

    Args:
        a, b: finished runs, or beginnings of their ids.
        store: where ids and further seeds are looked up; None: the default store.
        seeds: whether the runs are also compared over all seeds in the store, each with the runs that differ
            from it in the seed only; None: if there are two seeds of both.

    Raises:
        UnknownName: no run, or several, begin with an id.
        DataError: a run's files are damaged.
        ZslbenchError: both are the same run.
    """
    where = store if isinstance(store, Store) else Store.default(store)
    one, other = (run if isinstance(run, RunRecord) else where.resolve(run) for run in (a, b))
    if one.info.id == other.info.id:
        raise ZslbenchError(f"run {one.info.id} is given twice: choose two different runs")
    found, refused = differences(one, other), refusals(one, other)
    accuracies = [] if refused else [ClassAccuracies.of(run.table("classes")) for run in (one, other)]
    if len({(run.unseen, run.seen) for run in accuracies}) > 1:
        refused = ("the runs were evaluated on different classes",)
    if refused:
        return Comparison(one, other, found, refused)
    over = difference_over_classes(*accuracies)
    figures = (
        FigurePair(m, m.of(one.metrics), m.of(other.metrics), over.get(m.name)) for m in METRICS.values()
    )
    images = _image_pairs(one, other)
    over_seeds, remark = _over_seeds(one, other, where) if seeds is not False else ((), "")
    remarks = [] if images else ["the runs scored different test images: no comparison image by image"]
    return Comparison(
        one,
        other,
        found,
        refusals=(),
        warnings=warnings(one, other),
        figures=tuple(pair for pair in figures if not (math.isnan(pair.a) and math.isnan(pair.b))),
        classes=tuple(_class_pairs(one, other)),
        images=images,
        seeds=over_seeds,
        remarks=(*remarks, remark) if remark and seeds else tuple(remarks),
    )


def _class_pairs(a: RunRecord, b: RunRecord) -> Iterator[ClassPair]:
    """Every class for which both runs have an accuracy, by task and side, in the order of the data set."""
    keys = ["class_id", "name", "side"]
    both = a.table("classes").merge(b.table("classes"), on=keys, suffixes=("_a", "_b"))
    for task, side in _PARTS:
        column = f"{task.lower()}_accuracy"
        known = both[both["side"] == side].dropna(subset=[f"{column}_a", f"{column}_b"])
        for row in known.to_dict("records"):
            accuracies = (100 * float(row[f"{column}_{which}"]) for which in "ab")
            yield ClassPair(task, side, str(row["name"]), int(row["images_a"]), *accuracies)


def _image_pairs(a: RunRecord, b: RunRecord) -> tuple[ImagePair, ...]:
    """Right and wrong of two runs on the same test images; empty: they scored different images."""
    from scipy import stats

    one, other = (record.table("predictions").sort_values("image") for record in (a, b))
    if list(one["image"]) != list(other["image"]) or list(one["label"]) != list(other["label"]):
        return ()
    found = []
    for task, side in _PARTS:
        column, rows = f"{task.lower()}_correct", (one["side"] == side).to_numpy()
        if column not in one.columns or column not in other.columns or not rows.any():
            continue
        x, y = (table[column].to_numpy(bool)[rows] for table in (one, other))
        both, only_a, only_b = int((x & y).sum()), int((x & ~y).sum()), int((~x & y).sum())
        n = only_a + only_b
        p = min(1.0, 2 * float(stats.binom.cdf(min(only_a, only_b), n, 0.5))) if n else 1.0
        found.append(ImagePair(task, side, len(x), both, only_a, only_b, p))
    return tuple(found)


def _over_seeds(a: RunRecord, b: RunRecord, store: Store) -> tuple[tuple[FigurePair, ...], str]:
    """Both runs with their other seeds, compared over common seeds, or the reason why that is impossible."""
    if without_seed(a) == without_seed(b):
        return (), "the runs differ in their seed only: there are no two groups of seeds to compare"
    records = store.records()
    of_a, of_b = _seeds_of(a, records), _seeds_of(b, records)
    common = sorted(of_a.keys() & of_b.keys())
    if len(common) < 2:
        found = f"{len(of_a)} of A, {len(of_b)} of B, {len(common)} in common"
        return (), f"the store has too few seeds to pair ({found}): run both with --seeds N"
    pairs = []
    for metric in headline_metrics():
        one, other = ({seed: metric.of(run.metrics) for seed, run in runs.items()} for runs in (of_a, of_b))
        means = [sum(values[seed] for seed in common) / len(common) for values in (one, other)]
        if not any(map(math.isnan, means)):
            pairs.append(FigurePair(metric, means[0], means[1], paired=compare_seeds(one, other)))
    return tuple(pairs), ""


def _seeds_of(run: RunRecord, records: Iterable[RunRecord]) -> Mapping[int, RunRecord]:
    """All runs that differ from this one in nothing but the seed, by seed."""
    identity = without_seed(run)
    same = {other.info.seed: other for other in records if without_seed(other) == identity}
    return {**same, run.info.seed: run}
