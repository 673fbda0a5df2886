"""Two runs compared: what differs, metrics with intervals, classes, images and seeds.

Every part of a comparison is a frame with the columns that programs get. Figures are in percent, differences
are A minus B, NaN is missing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from zslbench.errors import ZslbenchError
from zslbench.evaluation.metrics import METRICS, headline_metrics
from zslbench.report.bootstrap import class_names, difference_over_classes
from zslbench.report.differences import Difference, differences, refusals, warnings
from zslbench.report.results import method_name, selection_mark, shortened, without_seed
from zslbench.report.statistics import Interval, compare_seeds
from zslbench.report.tables.model import Cell, is_missing, signed
from zslbench.store.record import RunRecord
from zslbench.store.store import Store

Records = list[dict[str, Any]]

CLASSES = 5
"""How many of the biggest wins, and of the biggest losses, are shown."""
_PARTS = (("GZSL", "unseen"), ("GZSL", "seen"), ("CZSL", "unseen"))
"""Tasks and sides that have figures of each class."""
_COLUMNS = ("name", "a", "b", "difference", "low", "high", "p", "n", "note")
_EQUAL = 1e-3
"""Smaller differences of a class's accuracy, in points, are rounding errors."""

# --- a comparison --------------------------------------------------------------------------------


def _frame(rows: Sequence[Mapping[str, Any]] = (), *more: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*_COLUMNS, *more]).astype({"n": "Int64"})


@dataclass(frozen=True)
class Comparison:
    """Two runs compared; a win is one of A."""

    a: RunRecord
    b: RunRecord
    differences: tuple[Difference, ...]
    refusals: tuple[str, ...]
    """Why their figures cannot be compared; if there is any, all that follows is empty."""
    warnings: tuple[str, ...] = ()
    figures: pd.DataFrame = field(default_factory=_frame)
    """Each metric; a mean over classes with the interval of its difference over ``n`` classes."""
    classes: pd.DataFrame = field(default_factory=_frame)
    """The accuracies of each class with ``n`` images; ``note`` is the task and the side."""
    images: pd.DataFrame = field(default_factory=_frame)
    """How many of ``n`` test images only A, only B, ``both`` and ``neither`` get right, by task and side.
    ``p`` is that of McNemar's exact test: the chance of a split of these images between A and B at least this
    uneven, if both runs were equally good. It takes images as independent."""
    seeds: pd.DataFrame = field(default_factory=_frame)
    """Headline metrics as means over the ``n`` seeds that the store has of both methods, with interval and
    ``p`` of the paired difference; empty: fewer than two."""
    remarks: tuple[str, ...] = ()
    """What could not be compared, and why."""

    @property
    def tallies(self) -> pd.DataFrame:
        """In how many of ``n`` classes A is better, B is better, or both are ``equal``, by task and side."""
        rows = []
        for part, each in self.classes.groupby("note", sort=False):
            wins, losses = (int((sign * each["difference"] >= _EQUAL).sum()) for sign in (1, -1))
            row = {"name": part, "a": wins, "b": losses, "difference": wins - losses, "n": len(each)}
            rows.append({**row, "equal": len(each) - wins - losses})
        return _frame(rows, "equal")

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
        if self.figures["n"].notna().any():
            texts.append("intervals: 95 %, bootstrap over classes; they do not cover other seeds")
        if len(self.images):
            texts.append(
                "images: McNemar's exact test counts images, not classes, and takes them as independent; "
                "figures are means over classes"
            )
        if len(self.seeds):
            texts.append(
                "seeds: 95 % interval of the mean difference (Student's t), p of the exact sign-flip test, "
                "both paired over seeds; p is not corrected for the number of figures"
            )
        return texts

    def rows(self) -> Records:
        """One row for everything, for programs: ``section``, ``name``, ``a``, ``b``, ``difference``, ..."""
        found: list[Any] = []
        for section, texts in (("not comparable", self.refusals), ("warning", self.warnings)):
            found += [{"section": section, "name": "", "note": text} for text in texts]
        found += [one._asdict() for one in self.differences]
        for section, frame in (
            ("figures", self.figures),
            ("seeds", self.seeds),
            ("classes won", self.tallies),
            ("class", self.classes),
            ("images right alone", self.images),
        ):
            found += frame.assign(section=section).to_dict("records")
        return [{name: row.get(name) for name in ("section", *_COLUMNS)} for row in found]

    def tables(self, classes: int = CLASSES) -> Iterator[tuple[str, Records]]:
        """Title and rows of each section that is not empty, for readers; selections are marked.

        Args:
            classes: how many of the biggest wins, and of the biggest losses, of each task are shown.
        """
        marks = {"A": f"A{selection_mark(self.a)}", "B": f"B{selection_mark(self.b)}"}
        for title, columns, rows in self._sections(classes):
            records = [dict(zip(columns.split(", "), row, strict=True)) for row in rows]
            if records:
                empty = {name for name in records[0] if all(is_missing(row[name]) for row in records)}
                shown = [name for name in records[0] if name in marks or name not in empty]
                yield title, [{marks.get(name, name): row[name] for name in shown} for row in records]

    def _sections(self, classes: int) -> Iterator[tuple[str, str, Iterable[Sequence[Any]]]]:
        """Title, names of columns, and rows."""
        unlike = ((one.section, one.name, _text(one.a), _text(one.b)) for one in self.differences)
        yield "what differs", "about, name, A, B", unlike
        figure = "figure, A, B, A − B, 95 % interval"
        hidden = [metric.name for metric in METRICS.values() if metric.on_request]
        shown = self.figures[~self.figures["name"].isin(hidden)]
        rows = ((*_figure(one), one.note or None) for one in _each(shown))
        yield "figures, %", f"{figure}, remark", rows
        rows = ((*_figure(one), _p(one.p), one.note or None) for one in _each(self.seeds))
        yield f"figures over {self.seeds['n'].max()} seeds, %", f"{figure}, p, remark", rows
        won = ((one.name, one.a, one.b, one.equal) for one in _each(self.tallies))
        yield "classes", "task, A better, B better, equal", won
        for task in ("GZSL", "CZSL"):
            shown = extremes(self.classes[self.classes["note"].str.startswith(task)], classes)
            extreme = ((one.name, one.note.split()[1], one.n, *_pair(one)) for one in _each(shown))
            title = f"{task}: classes with the biggest differences, %"
            yield title, "class, side, images, A, B, A − B", extreme
        right = (
            (one.name, one.n, one.both, one.a, one.b, one.neither, _p(one.p)) for one in _each(self.images)
        )
        yield "images", "task, images, both right, A alone, B alone, neither, p (McNemar)", right


def extremes(classes: pd.DataFrame, count: int) -> pd.DataFrame:
    """The ``count`` biggest wins and, below them, the ``count`` biggest losses of A, by difference.

    Of equal differences the class with more images goes first, then the name.
    """
    ordered = classes.assign(size=classes["difference"].abs())
    ordered = ordered.sort_values(["size", "n", "name"], ascending=[False, False, True])
    wins, losses = (ordered[sign * ordered["difference"] >= _EQUAL][:count] for sign in (1, -1))
    return pd.concat([wins, losses[::-1]])


def _each(frame: pd.DataFrame) -> Iterable[Any]:
    return frame.itertuples()


def _name(record: RunRecord) -> str:
    """``"sc-egg [authors] on toy, seed 0 (last), run 0123abcd"``."""
    what = f"{method_name(record)} on {record.info.dataset}, seed {record.info.seed}"
    return f"{what}{selection_mark(record)}, run {record.info.id[:8]}"


def _figure(one: Any) -> Sequence[Any]:
    known = not (math.isnan(one.low) or math.isnan(one.high))
    span = f"{signed(one.low)} to {signed(one.high)}" if known else None
    digits = next(metric.digits for metric in METRICS.values() if metric.name == one.name)
    return one.name, *_pair(one, digits), span


def _pair(one: Any, digits: int = 1) -> tuple[Cell, Cell, Cell]:
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
    found = differences(one, other)
    refused = refusals(one.info.dataset, found)
    tables = [] if refused else [run.table("classes") for run in (one, other)]
    if tables and class_names(tables[0]) != class_names(tables[1]):
        refused = ("the runs were evaluated on different classes",)
    if refused:
        return Comparison(one, other, found, refused)
    images = _images(one, other)
    over_seeds, remark = _over_seeds(one, other, where) if seeds is not False else (_frame(), "")
    remarks = [] if len(images) else ["the runs scored different test images: no comparison image by image"]
    return Comparison(
        one,
        other,
        found,
        refusals=(),
        warnings=warnings(found, only_seed=without_seed(one) == without_seed(other)),
        figures=_figures(one, other, difference_over_classes(*tables)),
        classes=_classes(*tables),
        images=images,
        seeds=over_seeds,
        remarks=(*remarks, remark) if remark and seeds else tuple(remarks),
    )


def _figures(a: RunRecord, b: RunRecord, over_classes: Mapping[str, Interval]) -> pd.DataFrame:
    """Every metric that either run has."""
    rows = []
    for metric in METRICS.values():
        x, y = (metric.of(run.metrics) for run in (a, b))
        row: dict[str, Any] = {"name": metric.name, "a": x, "b": y, "difference": x - y}
        if over := over_classes.get(metric.name):
            row |= {"low": over.low, "high": over.high, "n": over.n, "note": over.reason}
        if not (math.isnan(x) and math.isnan(y)):
            rows.append(row)
    return _frame(rows)


def _classes(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Every class for which both runs have an accuracy, by task and side, in the order of the data set."""
    both = a.merge(b, on=["class_id", "name", "side"], suffixes=("_a", "_b"))
    rows: Records = []
    for task, side in _PARTS:
        columns = [f"{task.lower()}_accuracy_{which}" for which in "ab"]
        known = both[both["side"] == side].dropna(subset=columns)
        accuracies = (100 * known[column] for column in columns)
        for name, n, x, y in zip(known["name"], known["images_a"], *accuracies, strict=True):
            rows.append({"name": name, "a": x, "b": y, "difference": x - y, "n": n, "note": f"{task} {side}"})
    return _frame(rows)


def _images(a: RunRecord, b: RunRecord) -> pd.DataFrame:
    """Right and wrong of two runs on the same test images; empty: they scored different images."""
    from scipy import stats

    one, other = (record.table("predictions").sort_values("image") for record in (a, b))
    if list(one["image"]) != list(other["image"]) or list(one["label"]) != list(other["label"]):
        return _frame()
    rows: Records = []
    for task, side in _PARTS:
        column, of_side = f"{task.lower()}_correct", (one["side"] == side).to_numpy()
        if column not in one.columns or column not in other.columns or not of_side.any():
            continue
        x, y = (table[column].to_numpy(bool)[of_side] for table in (one, other))
        only_a, only_b = int((x & ~y).sum()), int((~x & y).sum())
        n = only_a + only_b
        p = min(1.0, 2 * float(stats.binom.cdf(min(only_a, only_b), n, 0.5))) if n else 1.0
        row = {"name": f"{task} {side}", "a": only_a, "b": only_b, "difference": only_a - only_b, "p": p}
        rows.append({**row, "n": len(x), "both": int((x & y).sum()), "neither": int((~x & ~y).sum())})
    return _frame(rows, "both", "neither")


def _over_seeds(a: RunRecord, b: RunRecord, store: Store) -> tuple[pd.DataFrame, str]:
    """Both runs with their other seeds, compared over common seeds, or the reason why that is impossible."""
    if without_seed(a) == without_seed(b):
        return _frame(), "the runs differ in their seed only: there are no two groups of seeds to compare"
    records = store.records()
    of_a, of_b = _seeds_of(a, records), _seeds_of(b, records)
    common = sorted(of_a.keys() & of_b.keys())
    if len(common) < 2:
        found = f"{len(of_a)} of A, {len(of_b)} of B, {len(common)} in common"
        return _frame(), f"the store has too few seeds to pair ({found}): run both with --seeds N"
    rows: Records = []
    for metric in headline_metrics():
        one, other = ({seed: metric.of(run.metrics) for seed, run in runs.items()} for runs in (of_a, of_b))
        x, y = (sum(values[seed] for seed in common) / len(common) for values in (one, other))
        if not (math.isnan(x) or math.isnan(y)):
            over = compare_seeds(one, other)
            row = {"name": metric.name, "a": x, "b": y, "difference": over.difference, "n": len(common)}
            rows.append({**row, "low": over.low, "high": over.high, "p": over.p, "note": over.refusal})
    return _frame(rows), ""


def _seeds_of(run: RunRecord, records: Iterable[RunRecord]) -> Mapping[int, RunRecord]:
    """All runs that differ from this one in nothing but the seed, by seed."""
    identity = without_seed(run)
    same = {other.info.seed: other for other in records if without_seed(other) == identity}
    return {**same, run.info.seed: run}
