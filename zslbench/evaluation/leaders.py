"""The part of the scores that is kept: each image's leading class, among the seen and the unseen classes.

Every figure follows from these, so the scores of a chunk of images are dropped at once: memory grows with
the images plus the classes, not with their product. Labels are not used to find them, only to count rivals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float, Int

Scores = Float[np.ndarray, "n classes"]
Labels = Int[np.ndarray, " n"]
ClassIds = Int[np.ndarray, " _"]


@dataclass(frozen=True)
class Leaders:
    """The leading class of each image among some classes."""

    score: Float[np.ndarray, " n"]
    """The highest score, in the type of the scores; NaN if any score is NaN."""
    label: Labels
    """The first class with that score."""
    alone: Bool[np.ndarray, " n"]
    """Whether it is the only class with that score."""
    rivals: Float[np.ndarray, " n"]
    """How many of the classes score at least as high as the true class, itself included; NaN: unknown."""

    @classmethod
    def of(cls, scores: Scores, classes: ClassIds, own: Float[np.ndarray, " n"] | None = None) -> Leaders:
        """Find them in scores over ``classes``, one column each; without classes they are -1, scored -inf.

        Args:
            own: the score of each image's true class; None: rivals are not counted.
        """
        rivals = np.full(len(scores), np.nan)
        if own is not None:
            rivals = np.count_nonzero(scores >= own[:, None], axis=1).astype(np.float64)
        if not len(classes):
            nobody = np.full(len(scores), -1)
            return cls(np.full(len(scores), -np.inf, scores.dtype), nobody, nobody == 0, rivals)
        best = scores.max(axis=1)
        # A row with a NaN has NaN as its maximum, which equals nothing.
        alone = np.count_nonzero(scores == best[:, None], axis=1) == 1
        return cls(best, classes[scores.argmax(axis=1)], alone, rivals)

    def right(self, labels: Labels) -> Bool[np.ndarray, " n"]:
        """Whether the true class is the only leader: a tie counts as wrong, and so does a NaN."""
        return np.asarray(self.alone & (self.label == labels))


@dataclass(frozen=True)
class Sides:
    """The leaders among seen and among unseen classes."""

    seen: Leaders
    unseen: Leaders

    @classmethod
    def of(
        cls, scores: Scores, seen: ClassIds, unseen: ClassIds, own: Float[np.ndarray, " n"] | None = None
    ) -> Sides:
        """Find them in scores over all classes; ``own`` as for :meth:`Leaders.of`."""
        return cls(*(Leaders.of(scores.take(side, axis=1), side, own) for side in (seen, unseen)))

    @property
    def all(self) -> Leaders:
        """The leaders among all classes."""
        s, u = self.seen, self.unseen
        higher, tie = s.score > u.score, s.score == u.score
        first = higher | (tie & (s.label < u.label))
        number = ~np.isnan(s.score) & ~np.isnan(u.score)
        return Leaders(
            np.maximum(s.score, u.score),
            np.where(first, s.label, u.label),
            number & ~tie & np.where(higher, s.alone, u.alone),
            s.rivals + u.rivals,
        )

    def less(self, offset: float) -> Sides:
        """A copy with ``offset`` subtracted from the scores of seen classes, in float64; their rivals are
        then unknown."""
        score, unknown = self.seen.score.astype(np.float64) - offset, np.full_like(self.seen.rivals, np.nan)
        return replace(self, seen=replace(self.seen, score=score, rivals=unknown))


def joined(parts: Sequence[Leaders]) -> Leaders:
    """The leaders of several chunks of images."""
    return Leaders(*(np.concatenate([getattr(one, f.name) for one in parts]) for f in fields(Leaders)))
