"""The metrics once more, by loops and exact fractions, straight from the definitions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

Number = Fraction | float
Rows = list[list[Number]]


def _exact(value: float) -> Number:
    return Fraction(value) if math.isfinite(value) else value


def _mean(values: Sequence[Fraction]) -> Number:
    return sum(values, Fraction(0)) / len(values) if values else math.nan


@dataclass(frozen=True)
class Task:
    """Scores of a few images over classes, as exact numbers."""

    rows: Rows
    labels: list[int]
    seen: list[int]
    unseen: list[int]

    @staticmethod
    def of(scores: np.ndarray, labels: np.ndarray, seen: Iterable[int], unseen: Iterable[int]) -> Task:
        rows = [[_exact(float(value)) for value in row] for row in scores]
        return Task(rows, [int(y) for y in labels], [int(c) for c in seen], [int(c) for c in unseen])

    @staticmethod
    def winner(row: list[Number], among: Iterable[int]) -> int | None:
        """The class that alone has the highest score; None for a tie or a NaN."""
        best: list[int] = []
        for c in among:
            if any(math.isnan(value) for value in row):
                return None
            if not best or row[c] > row[best[0]]:
                best = [c]
            elif row[c] == row[best[0]]:
                best.append(c)
        return best[0] if len(best) == 1 else None

    def accuracy(self, rows: Rows, among: Iterable[int], classes: Iterable[int]) -> Number:
        """Average over ``classes`` of each one's share of right predictions among the classes ``among``."""
        among = list(among)
        shares = []
        for c in classes:
            mine = [row for row, y in zip(rows, self.labels, strict=True) if y == c]
            if mine:
                shares.append(Fraction(sum(self.winner(row, among) == c for row in mine), len(mine)))
        return _mean(shares)

    def at(self, offset: Fraction) -> tuple[Number, Number]:
        """(S, U) when ``offset`` is taken from every seen score, by predicting anew."""
        held_back = set(self.seen)
        rows = [[v - offset if c in held_back else v for c, v in enumerate(row)] for row in self.rows]
        both = self.seen + self.unseen
        return self.accuracy(rows, both, self.seen), self.accuracy(rows, both, self.unseen)

    def ends(self) -> tuple[Number, Number]:
        """(S, U), each with the classes restricted to its own side."""
        return (
            self.accuracy(self.rows, self.seen, self.seen),
            self.accuracy(self.rows, self.unseen, self.unseen),
        )

    def margins(self) -> list[Fraction]:
        """The distinct finite values of (best seen − best unseen), ascending."""
        found = set()
        for row in self.rows:
            margin = max(row[c] for c in self.seen) - max(row[c] for c in self.unseen)
            if isinstance(margin, Fraction):
                found.add(margin)
        return sorted(found)

    def offsets(self) -> list[Fraction]:
        """One offset strictly inside every interval between margins, and one beyond each end."""
        m = self.margins()
        if not m:
            return [Fraction(0)]
        return [m[0] - 1, *((a + b) / 2 for a, b in pairwise(m)), m[-1] + 1]

    def area(self) -> Number:
        """Trapezoids between consecutive points, from (S_max, 0) to (0, U_max)."""
        s_max, u_max = self.ends()
        points = [(s_max, Fraction(0)), *(self.at(offset) for offset in self.offsets()), (Fraction(0), u_max)]
        steps = pairwise(points)
        return sum(((u2 - u1) * (s1 + s2) / 2 for (s1, u1), (s2, u2) in steps), Fraction(0))

    @staticmethod
    def harmonic(s: Number, u: Number) -> Number:
        return 2 * s * u / (s + u) if s + u else Fraction(0)

    def best_h(self) -> Number:
        return max(self.harmonic(*self.at(offset)) for offset in self.offsets())


@pytest.fixture(scope="session")
def brute() -> type[Task]:
    """The brute force: ``brute.of(scores, labels, seen, unseen)``."""
    return Task
