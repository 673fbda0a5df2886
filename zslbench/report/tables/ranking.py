"""Best, second and tied of a column, by :mod:`zslbench.report.statistics.family`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from zslbench.report.statistics.family import Ranking, against_best, family_text
from zslbench.report.statistics.intervals import SAME
from zslbench.report.tables.figures import Over, words
from zslbench.report.tables.model import Cell, Emphasis


@dataclass(frozen=True)
class Ranks:
    """What the cells of one column are marked with."""

    ranking: Ranking | None = None
    """None: there are not two to compare."""

    def emphasis(self, name: str) -> Emphasis | None:
        """All that have the highest mean are best; there is a second where one alone is."""
        if self.ranking is None or self.ranking.best is None or name not in self.ranking.verdicts:
            return None
        mean = self.ranking.verdicts[name].mean
        highest = self.ranking.verdicts[self.ranking.best].mean
        if math.isnan(mean):
            return None
        if abs(highest - mean) <= SAME:
            return "best"
        second = self.ranking.verdicts[self.ranking.second or self.ranking.best].mean
        return "second" if abs(highest - second) > SAME and abs(second - mean) <= SAME else None

    def marked(self, name: str, cell: Cell) -> Cell:
        """The cell with its marks."""
        emphasis = self.emphasis(name)
        tied = self.ranking is not None and name in self.ranking.tied and emphasis != "best"
        return replace(cell, emphasis=emphasis, tied=tied)


def ranks(column: Mapping[str, Over]) -> Ranks:
    """Rank a column: what lacks seeds that were asked for, or a figure, takes no part."""
    higher = all(one.metric.higher_is_better for one in column.values())
    whole = {
        name: one.values
        for name, one in column.items()
        if one.values and not one.partial and not any(map(math.isnan, one.values.values()))
    }
    return Ranks(against_best(whole, higher=higher) if len(whole) > 1 else None)


def notes(of: Iterable[Ranks]) -> list[str]:
    """How ties were judged, and where they could not be; nothing where nothing was ranked."""
    rankings = [one.ranking for one in of if one.ranking is not None]
    if not rankings:
        return []
    lines = []
    if any(one.comparisons for one in rankings):
        lines.append(family_text(rankings[0].alpha))
    refused = [reason for one in rankings for reason in one.not_judged.values()]
    if refused:
        lines.append(f"ties with the best are not judged everywhere: {words(sorted(set(refused)), 3)}")
    return lines
