"""Features by t-SNE, of runs that kept their networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zslbench.errors import ZslbenchError
from zslbench.store.record import RunRecord
from zslbench_report.html.subject import Shown, Subject
from zslbench_report.html.theme import CLASSES, ink

if TYPE_CHECKING:
    from zslbench_report.plots.tsne import Projection

ID = "tsne"
TITLE = "Features in two dimensions (t-SNE)"

MOST = 8
"""Runs that are drawn, for each takes seconds and space."""


def build(subject: Subject) -> Mapping[str, Any] | None:
    """For each data set a panel per method whose run kept its networks, all of the same images."""
    if not subject.outcome.records:
        return None
    groups: list[dict[str, Any]] = []
    reasons: list[str] = []
    kept = drawn = 0
    for dataset in subject.outcome.datasets:
        panels: list[tuple[Shown, Projection]] = []
        said: list[str] = []
        for one in subject.shown(dataset):
            record = kept_run(one)
            if record is None:
                continue
            kept += 1
            if subject.without_charts:
                continue
            if drawn == MOST:
                reasons.append(f"{one.label} on {one.dataset} is left out: {MOST} runs are drawn at most.")
                continue
            try:
                panels.append((one, _projection(subject, record, said)))
                drawn += 1
            except ZslbenchError as error:
                reasons.append(f"{one.label} on {one.dataset}: {error}")
        groups += [_group(subject, dataset, same, said) for same in _of_same_images(panels)]
    return {"groups": groups, "reasons": reasons, "kept": kept > 0}


def kept_run(one: Shown, weights: tuple[str, ...] = ("all",)) -> RunRecord | None:
    """The run of a line that kept its networks, the middle one if it did."""
    ordered = [one.median, *one.records]
    return next((record for record in ordered if record.environment.get("weights") in weights), None)


def _projection(subject: Subject, record: RunRecord, said: list[str]) -> Projection:
    from zslbench_report.plots.tsne import compute

    def say(text: str) -> None:
        if text not in said:
            said.append(text)

    return compute(record, data_root=subject.options.data_root, backbone=False, say=say)


def _of_same_images(panels: list[tuple[Shown, Projection]]) -> list[list[tuple[Shown, Projection]]]:
    """Panels that share a legend: equal settings choose the same images of the same data."""
    groups: dict[tuple[Any, ...], list[tuple[Shown, Projection]]] = {}
    for one, found in panels:
        chosen = found.chosen
        key = (
            found.class_names,
            *(tuple(part.tolist()) for part in (chosen.seen, chosen.unseen, chosen.rows)),
        )
        groups.setdefault(key, []).append((one, found))
    return list(groups.values())


def _group(
    subject: Subject, dataset: str, panels: list[tuple[Shown, Projection]], said: list[str]
) -> dict[str, Any]:
    from zslbench_report.html.charts.points import points
    from zslbench_report.plots.scatter import COLOURS, palette

    first = panels[0][1]
    places = {one: COLOURS.index(colour) % len(CLASSES) for one, colour in palette(first.chosen).items()}
    inks = {one: ink(f"k{place}") for one, place in places.items()}
    made = []
    for one, found in panels:
        (panel,) = found.panels
        svg = points(panel, inks, subject.key("tsne"), f"t-SNE of {one.label} on {dataset}, {panel.title}")
        made.append(
            {
                "label": one.label,
                "seed": found.record.info.seed,
                "space": panel.title,
                "note": panel.note,
                "svg": svg,
            }
        )
    return {
        "title": subject.dataset_title(dataset),
        "panels": made,
        "classes": [
            (f"k{places[one]}", first.class_names[one], side)
            for side, numbers in (("seen", first.chosen.seen), ("unseen", first.chosen.unseen))
            for one in numbers.tolist()
        ],
        "synthetic": any("synthetic unseen" in found.panels[0].samples.kinds for _, found in panels),
        "said": said,
    }
