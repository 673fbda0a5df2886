"""Published figures beside ours, and the differences to them. Figures in percent."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from zslbench.evaluation.metrics import Metric
from zslbench.experiment.published.rows import PublishedRow
from zslbench.report.published_verdict import verdict
from zslbench.report.tables.figures import Over, known, number, places, signed, words
from zslbench.report.tables.model import Cell

DISPUTED = "‡"
UNLIKE = "§"
_PLACES = {"inside": " ∈", "above": " ∉", "below": " ∉", "unknown": ""}


@dataclass
class Printed:
    """Makes the cells of published rows and differences, and keeps what must be noted of them."""

    preferred: str | None = None
    """The source that goes first."""
    shown: list[tuple[str, PublishedRow]] = field(default_factory=list)
    """The rows that were shown, each with the label of its line."""
    unlike: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    judged: bool = False
    refused: set[str] = field(default_factory=set)

    def figure(
        self, label: str, row: PublishedRow | None, metric: Metric, semantics: str, features: str = "res101"
    ) -> Cell:
        """A published figure as printed; a disputed H and figures from other conditions are marked.

        Args:
            label: the line's.
            row: what is published of it; None: nothing.
            semantics: of our runs beside it.
            features: of our runs beside it.
        """
        value = math.nan if row is None else row.figures.get(metric.name, math.nan)
        if row is None or math.isnan(value):
            return Cell(None, note="not published" if row is None else f"not in {row.source}")
        reasons = row.differences(semantics, features)
        if (label, row) not in self.shown:
            self.shown.append((label, row))
        for reason in reasons:
            where = self.unlike.setdefault(reason, [])
            if (row.method, row.dataset) not in where:
                where.append((row.method, row.dataset))
        mark, note = "", f"{row.citation}, {row.source}" if row.citation else row.source
        if row.disputed and metric.key == "h":
            mark, note = DISPUTED, row.note
        if reasons:
            mark += UNLIKE
            note = f"{note}; {', '.join(reasons)}"
        return Cell(number(value, metric.digits), value, mark=mark, note=note)

    def difference(self, ours: Over, row: PublishedRow | None) -> tuple[Cell, str | None]:
        """Ours less published with its verdict, and the verdict for programs."""
        name = ours.metric.name
        value = math.nan if row is None else row.figures.get(name, math.nan)
        if row is None or math.isnan(value) or math.isnan(ours.interval.mean):
            return Cell(None), None
        found = verdict(ours.interval, value, row.rounding.get(name, 0.0))
        if found.place == "unknown":
            self.refused.add(found.reason)
        else:
            self.judged = True
        text = signed(found.difference, ours.metric.digits)
        mark = _PLACES[found.place] + ours.mark
        return Cell(text, known(found.difference), mark=mark, note=found.text), found.place

    def notes(self) -> list[str]:
        """Sources, disputed figures, other conditions, what the verdicts mean."""
        lines = [*self._sources(), *self._disputed()]
        lines += [
            f"{UNLIKE} published under other conditions ({reason}): {places(where)}"
            for reason, where in self.unlike.items()
        ]
        if self.judged:
            lines.append(
                "∈, ∉: the published figure lies inside, outside the 95 % interval (Student's t) of our mean "
                "over seeds"
            )
        if self.refused:
            lines.append(f"differences without a verdict: {words(sorted(self.refused), 3)}")
        return lines

    def _sources(self) -> list[str]:
        sources: dict[str, list[tuple[str, str]]] = {}
        for _, row in self.shown:
            sources.setdefault(row.source, []).append((row.method, row.dataset))
        if not sources:
            return []
        first = (
            self.preferred if self.preferred in sources else max(sources, key=lambda one: len(sources[one]))
        )
        others = [f"from {name}: {places(where)}" for name, where in sources.items() if name != first]
        return [f"published: {'; '.join([first, *others])}"]

    def _disputed(self) -> list[str]:
        rows = {(row.method, row.dataset, row.source): row for _, row in self.shown if row.disputed}
        return [f"{DISPUTED} {row.method} on {row.dataset}: {row.note}" for row in rows.values()]
