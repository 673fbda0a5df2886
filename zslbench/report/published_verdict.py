"""Where a published figure lies against the seeds of our own runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from zslbench.report.statistics.intervals import Interval

Place = Literal["inside", "above", "below", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """A published figure beside ours."""

    place: Place
    """Where the **published** figure lies against the interval of our mean over seeds: ``above`` means that
    the published one is higher than our seeds can account for."""
    difference: float
    """Our mean less the published figure, in percentage points; NaN where one is missing."""
    reason: str = ""
    """Why the place is unknown, one line."""

    @property
    def text(self) -> str:
        """For readers: ``"published inside the interval"``, or the reason."""
        return self.reason if self.place == "unknown" else f"published {self.place} the interval"


def verdict(ours: Interval, published: float, rounding: float = 0.0) -> Verdict:
    """Compare our interval over seeds with a published figure, both in percent.

    It tells of our seeds only: nobody knows what seeds the published figure had, most are the best of one
    run.

    Args:
        published: NaN: none is printed. rounding: half a unit of its last printed digit
        (``PublishedRow.rounding``): it is outside if everything that
            may have been rounded to it is.
    """
    difference = ours.mean - published
    if math.isnan(published):
        return Verdict("unknown", difference, "not published")
    if math.isnan(ours.low):
        return Verdict("unknown", difference, ours.reason)
    # A hair's breadth, so that a figure printed as 0.3 is not outside 0.35 by its last bit.
    slack = rounding + 1e-9
    place: Place = (
        "above" if published - slack > ours.high else "below" if published + slack < ours.low else "inside"
    )
    return Verdict(place, difference)
