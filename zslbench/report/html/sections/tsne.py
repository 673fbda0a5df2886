"""Features by t-SNE, of runs that kept their networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zslbench.errors import ZslbenchError
from zslbench.report.html.subject import Shown, Subject
from zslbench.report.html.theme import CLASSES, ink
from zslbench.store.record import RunRecord

ID = "tsne"
TITLE = "Features in two dimensions (t-SNE)"

MOST = 4
"""Runs that are drawn, for each takes seconds and space."""


def build(subject: Subject) -> Mapping[str, Any] | None:
    """The embedding's space of each method whose run kept its networks, in the order of the table."""
    if not subject.outcome.records:
        return None
    made: list[dict[str, Any]] = []
    reasons: list[str] = []
    for dataset in subject.outcome.datasets:
        for one in subject.shown(dataset):
            record = kept_run(one)
            if record is None:
                continue
            if len(made) >= MOST:
                reasons.append(f"{one.label} on {one.dataset} is left out: {MOST} runs are drawn at most.")
            elif subject.without_charts:
                return {"made": [], "reasons": [], "kept": True}
            else:
                try:
                    made.append(_drawn(subject, one, record, _baseline(subject, one)))
                except ZslbenchError as error:
                    reasons.append(f"{one.label} on {one.dataset}: {error}")
    return {"made": made, "reasons": reasons, "kept": bool(made or reasons)}


def kept_run(one: Shown, weights: tuple[str, ...] = ("all",)) -> RunRecord | None:
    """The run of a line that kept its networks, the middle one if it did."""
    ordered = [one.median, *one.records]
    return next((record for record in ordered if record.environment.get("weights") in weights), None)


def _baseline(subject: Subject, one: Shown) -> RunRecord | None:
    """A run of another line on the same images whose generator makes features of the backbone."""
    for other in subject.shown(one.dataset):
        record = kept_run(other)
        if record is None or other is one:
            continue
        components = record.info.identity.get("components", {})
        mine = one.median.info.identity.get("components", {}).get("embedding")
        if components.get("embedding") == "identity" and components.get("generator") and mine != "identity":
            return record
    return None


def _drawn(
    subject: Subject, one: Shown, record: RunRecord, baseline: RunRecord | None
) -> dict[str, Any]:
    from zslbench.report.html.charts.points import points
    from zslbench.report.plots.scatter import COLOURS, palette
    from zslbench.report.plots.tsne import compute

    said: list[str] = []
    root = subject.options.data_root
    try:
        found = compute(record, baseline=baseline, data_root=root, say=said.append)
    except ZslbenchError:
        if baseline is None:
            raise
        found = compute(record, data_root=root, say=said.append)
    colours = {number: COLOURS.index(colour) for number, colour in palette(found.chosen).items()}
    inks = {number: ink(f"k{place % len(CLASSES)}") for number, place in colours.items()}
    panels = [
        {
            "title": panel.title,
            "note": panel.note,
            "svg": points(panel, inks, subject.key("tsne"), f"t-SNE of {one.label}, {panel.title}"),
        }
        for panel in found.panels
    ]
    sides = [
        (
            side,
            [
                (f"k{colours[number] % len(CLASSES)}", found.class_names[number])
                for number in numbers.tolist()
            ],
        )
        for side, numbers in (("seen", found.chosen.seen), ("unseen", found.chosen.unseen))
    ]
    title = f"{one.label} on {subject.dataset_title(one.dataset)}, seed {record.info.seed}"
    synthetic = any("synthetic unseen" in panel.samples.kinds for panel in found.panels)
    return {
        "title": title,
        "panels": panels,
        "sides": sides,
        "said": said,
        "run": record.info.id,
        "synthetic": synthetic,
    }
