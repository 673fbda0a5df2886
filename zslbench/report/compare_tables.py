"""A comparison of two runs as tables for readers, and as rows for programs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from zslbench.report.compare_classes import ClassPair, extremes
from zslbench.report.results import selection_mark
from zslbench.report.tables.figures import number, signed

if TYPE_CHECKING:
    from zslbench.report.compare import Comparison

Rows = list[dict[str, Any]]

CLASSES_NOTE = "intervals: 95 %, bootstrap over classes; they tell nothing of other seeds"
IMAGES_NOTE = (
    "images: McNemar's exact test counts images, not classes, and takes them as independent; figures are "
    "means over classes"
)
SEEDS_NOTE = (
    "seeds: 95 % interval of the mean difference (Student's t), p of the exact sign-flip test, both paired "
    "over seeds; p is not corrected for the number of figures"
)


def tables(found: Comparison, classes: int) -> Iterator[tuple[str, Rows]]:
    """Title and rows of each section that has something to tell; a run selected otherwise is marked."""
    marks = {"A": f"A{selection_mark(found.a)}", "B": f"B{selection_mark(found.b)}"}
    for title, rows in _sections(found, classes):
        empty = {name for name in rows[0] if all(row[name] is None for row in rows)} - {"A", "B"}
        yield (
            title,
            [{marks.get(name, name): row[name] for name in row if name not in empty} for row in rows],
        )


def _sections(found: Comparison, classes: int) -> Iterator[tuple[str, Rows]]:
    if found.differences:
        yield (
            "what differs",
            [
                {"about": one.section, "name": one.name, "A": _text(one.a), "B": _text(one.b)}
                for one in found.differences
            ],
        )
    if found.figures:
        yield (
            "figures, %",
            [
                {"figure": one.figure, **_pair(one.a, one.b), **_interval(one.over_classes)}
                for one in found.figures
            ],
        )
    if found.seeds:
        count = len(found.seeds[0].paired.seeds)
        yield (
            f"figures over {count} seeds, %",
            [
                {
                    "figure": one.figure,
                    **_pair(one.a, one.b, one.paired.difference),
                    "95 % interval": _span(one.paired.low, one.paired.high),
                    "p": _p(one.paired.p),
                    "remark": one.paired.refusal or None,
                }
                for one in found.seeds
            ],
        )
    if found.tallies:
        yield (
            "classes",
            [
                {
                    "task": f"{one.task} {one.side}",
                    "A better": one.wins,
                    "B better": one.losses,
                    "alike": one.ties,
                }
                for one in found.tallies
            ],
        )
    for task in ("GZSL", "CZSL"):
        of_task = [one for one in found.classes if one.task == task]
        if shown := extremes(of_task, classes):
            yield f"{task}: classes with the biggest differences, %", [_class(one) for one in shown]
    if found.images:
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
                for one in found.images
            ],
        )


def notes(found: Comparison) -> list[str]:
    """What a reader of the tables must know."""
    texts = [*found.warnings, *found.remarks]
    if found.only_seed:
        texts.insert(0, "nothing differs but the seed")
    if any(one.over_classes for one in found.figures):
        texts.append(CLASSES_NOTE)
    if found.images:
        texts.append(IMAGES_NOTE)
    if found.seeds:
        texts.append(SEEDS_NOTE)
    return texts


def rows(found: Comparison, classes: int | None) -> Rows:
    """One row for everything, all with the same columns; figures and differences in percent."""
    made: Rows = []

    def row(section: str, name: str, a: Any, b: Any, **more: Any) -> None:
        known = dict.fromkeys(("difference", "low", "high", "p", "n", "note"))
        made.append({"section": section, "name": name, "a": a, "b": b, **known, **more})

    for text in found.refusals:
        row("not comparable", "", None, None, note=text)
    for text in found.warnings:
        row("warning", "", None, None, note=text)
    for one in found.differences:
        row(one.section, one.name, one.a, one.b)
    for figure in found.figures:
        over = figure.over_classes
        span = {"low": over.low, "high": over.high, "n": over.classes, "note": over.reason} if over else {}
        row("figures", figure.figure, figure.a, figure.b, difference=figure.difference, **span)
    for pair in found.seeds:
        test = pair.paired
        row("seeds", pair.figure, pair.a, pair.b, difference=test.difference, low=test.low, high=test.high,
            p=test.p, n=len(test.seeds), note=test.refusal)  # fmt: skip
    for tally in found.tallies:
        name = f"{tally.task} {tally.side}"
        total = tally.wins + tally.losses + tally.ties
        row("classes won", name, tally.wins, tally.losses, difference=tally.wins - tally.losses, n=total)
    for task in ("GZSL", "CZSL"):
        of_task = [one for one in found.classes if one.task == task]
        for one_class in of_task if classes is None else extremes(of_task, classes):
            where = f"{one_class.task} {one_class.side}"
            row("class", one_class.name, one_class.a, one_class.b, difference=one_class.difference,
                n=one_class.images, note=where)  # fmt: skip
    for image in found.images:
        name = f"{image.task} {image.side}"
        row("images right alone", name, image.only_a, image.only_b, difference=image.only_a - image.only_b,
            p=image.p, n=image.images)  # fmt: skip
    return made


def _pair(a: float, b: float, difference: float | None = None) -> dict[str, Any]:
    apart = a - b if difference is None else difference
    return {"A": number(a), "B": number(b), "A − B": signed(apart)}


def _class(one: ClassPair) -> dict[str, Any]:
    return {"class": one.name, "side": one.side, "images": one.images, **_pair(one.a, one.b)}


def _interval(over: Any) -> dict[str, Any]:
    if over is None:
        return {"95 % interval": None, "remark": None}
    return {"95 % interval": _span(over.low, over.high), "remark": over.reason or None}


def _span(low: float, high: float) -> str | None:
    return None if math.isnan(low) or math.isnan(high) else f"{signed(low)} to {signed(high)}"


def _p(value: float) -> str | None:
    if math.isnan(value):
        return None
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _text(value: Any) -> str | None:
    """A value for people: eight digits of a sha256 tell two apart."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:8] if re.fullmatch("[0-9a-f]{64}", text) else text
