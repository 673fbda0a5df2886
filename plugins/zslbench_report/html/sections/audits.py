"""Which methods passed a leak audit, and what it proved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zslbench.experiment import Line
from zslbench_audit import Told, told
from zslbench_report.html.subject import Subject

ID = "audits"
TITLE = "Leak audits"

WORDS = {"passed": "passed", "failed": "failed", "other version": "other version", "none": "not audited"}
"""What the table of results says of each state."""


def build(subject: Subject) -> Mapping[str, Any] | None:
    """For each line with runs: whether it was audited, and what each probe found."""
    found = []
    for place, line in enumerate(subject.outcome.lines):
        one = audit_of(subject, line)
        if one is not None:
            found.append(
                {"anchor": anchor(place), "label": line.label, "told": one, "word": WORDS[one.state]}
            )
    return {"found": found} if found else None


def anchor(place: int) -> str:
    """The id of the audit of the line at this place."""
    return f"audit-{place}"


def audit_of(subject: Subject, line: Line) -> Told | None:
    """What is known of a line's audit, by its first run; None: there is no run, or no store."""
    if subject.store is None:
        return None
    for (label, _, _), entry in subject.outcome.entries.items():
        if label == line.label and entry.records:
            return told(subject.store, next(iter(entry.records.values())))
    return None
