"""The sections of a report.

A section is an id, a title, a function that builds what its template ``templates/sections/<id>.html.j2``
shows, and that template. To add one, write function and template and name them in ``SECTIONS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zslbench_report.html.report import Report
from zslbench_report.html.sections.classes import class_accuracies, confusion
from zslbench_report.html.sections.curves import seen_unseen_curves, training_curves
from zslbench_report.html.sections.networks import attention, tsne
from zslbench_report.html.sections.protocol import notes, protocol, runs
from zslbench_report.html.sections.results import audits, missing, results, variants
from zslbench_report.html.sections.setup import provenance, settings


@dataclass(frozen=True)
class Section:
    """One section of the page."""

    id: str
    """Names its template, its place on the page, and the section for ``--without``."""
    title: str
    build: Callable[[Report], Mapping[str, Any] | None]
    """What the template shows; None: nothing to show, and the section is left out."""


SECTIONS = (
    Section("results", "Results", results),
    Section("protocol", "How the numbers were selected", protocol),
    Section("audits", "Leak audits", audits),
    Section("missing", "Missing and failed cells", missing),
    Section("curves", "Seen–unseen curves", seen_unseen_curves),
    Section("classes", "Accuracy by class", class_accuracies),
    Section("confusion", "Confused unseen classes", confusion),
    Section("training", "Training curves", training_curves),
    Section("ablation", "Variants of one method", variants),
    Section("tsne", "Features in two dimensions (t-SNE)", tsne),
    Section("attention", "Where the embedding looks", attention),
    Section("settings", "Settings", settings),
    Section("runs", "Runs", runs),
    Section("provenance", "Data and environment", provenance),
    Section("notes", "Notes and warnings", notes),  # last: it reports what the others could not show
)
"""In the order of the page."""
