"""The sections of a report, in its order.

A section is a module with ``ID``, ``TITLE`` and ``build(subject)``, which gives what its template
``templates/sections/<ID>.html.j2`` shows; None: there is nothing to say, and the section is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from zslbench_report.html.subject import Subject


@runtime_checkable
class Section(Protocol):
    """What each module here offers."""

    ID: str
    TITLE: str

    def build(self, subject: Subject) -> Mapping[str, Any] | None: ...


def sections() -> tuple[Section, ...]:
    """All sections; the last ones tell what the others found."""
    from zslbench_report.html.sections import (
        ablation,
        attention,
        audits,
        classes,
        confusion,
        curves,
        headline,
        missing,
        notes,
        protocol,
        provenance,
        runs,
        settings,
        training,
        tsne,
    )

    return (
        headline, protocol, audits, missing, curves, classes, confusion, training, ablation, tsne, attention,
        settings, runs, provenance, notes,
    )  # fmt: skip
