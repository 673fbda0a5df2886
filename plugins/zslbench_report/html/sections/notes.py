"""Notes and warnings: of the suite, of its runs (equal ones once), and of this report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zslbench_report.html.subject import Subject

ID = "notes"
TITLE = "Notes and warnings"


def build(subject: Subject) -> Mapping[str, Any] | None:
    """The last section to be built: it tells what the others could not show."""
    by_note: dict[str, list[str]] = {}
    for record in subject.outcome.records:
        for note in record.notes:
            by_note.setdefault(note, []).append(record.info.id)
    if not (by_note or subject.faults or subject.outcome.remarks):
        return None
    return {"remarks": subject.outcome.remarks, "notes": list(by_note.items()), "faults": subject.faults}
