"""The field's metrics, on score matrices. NumPy only; the evaluator is built on these and nothing else.

Sources: per-class accuracy, U, S and H after Xian et al. (TPAMI 2018); the seen-unseen curve and its
area after Chao et al. (ECCV 2016).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Scores = Float[np.ndarray, "n classes"]
Labels = Int[np.ndarray, " n"]
ClassIds = Int[np.ndarray, " _"]


def correct(scores: Scores, labels: Labels) -> Bool[np.ndarray, " n"]:
    """Whether the true class alone has the highest score; a tie that involves it counts as wrong.

    ``labels`` index the columns of ``scores``. A row with a NaN anywhere counts as wrong.
    """
    if not len(labels):
        return np.zeros(0, dtype=bool)
    # Where a row holds a NaN its maximum is NaN, which equals nothing.
    on_top = scores == scores.max(axis=1, keepdims=True)
    return np.asarray(on_top[np.arange(len(labels)), labels] & (on_top.sum(axis=1) == 1))


def accuracy_per_class(
    hits: Bool[np.ndarray, " n"], labels: Labels, classes: ClassIds
) -> Float[np.ndarray, " _"]:
    """Share of hits among the images of each class in ``classes``; NaN for a class without images."""
    total = np.array([np.count_nonzero(labels == one) for one in classes], dtype=np.float64)
    hit = np.array([np.count_nonzero(hits & (labels == one)) for one in classes], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, hit / np.maximum(total, 1), np.nan)


def mean_over_classes(per_class: Float[np.ndarray, " _"]) -> float:
    """Unweighted mean over the classes that have images; NaN when none has."""
    present = per_class[~np.isnan(per_class)]
    return float(present.mean()) if len(present) else float("nan")


def harmonic_mean(unseen: float, seen: float) -> float:
    """H = 2US/(U+S), 0 when both are 0."""
    return 2 * unseen * seen / (unseen + seen) if unseen + seen > 0 else 0.0 * (unseen + seen)


@dataclass(frozen=True)
class Curve:
    """The seen-unseen curve: accuracy on each side as an offset γ is taken from all seen scores.

    Point i holds for every γ strictly between ``breaks[i - 1]`` and ``breaks[i]`` (with -inf and inf
    beyond the ends), so there is one point more than breaks; the first is γ -> -inf, the last γ -> inf.
    """

    breaks: Float[np.ndarray, " k"]
    seen: Float[np.ndarray, " k1"]
    unseen: Float[np.ndarray, " k1"]

    @property
    def area(self) -> float:
        """AUSUC: the area under the curve of S against U, by the trapezoid rule; exact, no grid."""
        return float(np.sum((self.unseen[1:] + self.unseen[:-1]) / 2 * (self.seen[:-1] - self.seen[1:])))


def seen_unseen_curve(scores: Scores, labels: Labels, seen: ClassIds, unseen: ClassIds) -> Curve:
    """The exact curve by one sort of the margins m = max seen score - max unseen score.

    A seen image is right iff its best seen class is its own and m > γ; an unseen image iff its best
    unseen class is its own and m < γ; ties within a side count as wrong. Classes without images are
    left out of the averages, images of further classes are ignored, and a side without images is NaN. The
    end points are the accuracies with the classes restricted to one side.
    """
    # Margins of float32 scores need float64: in float32 two different ones can become equal.
    wide = scores.astype(np.float64)
    is_seen, is_unseen = np.isin(labels, seen), np.isin(labels, unseen)
    with np.errstate(invalid="ignore"):
        margin = wide[:, seen].max(axis=1) - wide[:, unseen].max(axis=1)
    # Infinite on both sides: no finite offset decides for the image's own side.
    undecided = np.isnan(margin) & ~np.isnan(wide).any(axis=1)
    margin[undecided] = np.where(is_seen[undecided], -np.inf, np.inf)
    weight = np.zeros(len(labels))
    for side, of_side in ((seen, is_seen), (unseen, is_unseen)):
        column = np.full(scores.shape[1], -1)
        column[side] = np.arange(len(side))
        own = labels[of_side]
        hits = correct(scores[np.ix_(of_side, side)], column[own])
        sizes = np.bincount(own, minlength=scores.shape[1])
        weight[of_side] = hits / (sizes[own] * max(1, np.count_nonzero(sizes)))
    usable = ~np.isnan(margin)
    breaks, where = np.unique(margin[usable], return_inverse=True)
    lost = np.bincount(where, weight[usable] * is_seen[usable], len(breaks))
    won = np.bincount(where, weight[usable] * is_unseen[usable], len(breaks))
    s = np.append(lost[::-1].cumsum()[::-1], 0.0)
    u = np.append(0.0, won.cumsum())
    missing = np.full(len(s), np.nan)
    return Curve(
        breaks=breaks,
        seen=s if is_seen.any() else missing,
        unseen=u if is_unseen.any() else missing,
    )


def best_offset(curve: Curve) -> tuple[float, float]:
    """The calibration offset γ with the highest H, and that H.

    γ is the middle of its interval, the outer intervals reaching as far as the margins spread; of several
    equally good intervals the one whose middle is nearest to 0 is taken. Subtract it in float64.
    """
    finite = curve.breaks[np.isfinite(curve.breaks)]
    total = curve.seen + curve.unseen
    h = np.divide(2 * curve.seen * curve.unseen, total, out=np.zeros_like(total), where=total > 0)
    if not len(finite):
        return 0.0, float(h[np.searchsorted(curve.breaks, 0.0)])
    spread = float(finite[-1] - finite[0]) or 1.0
    edges = np.concatenate([[-np.inf], curve.breaks, [np.inf]]).clip(finite[0] - spread, finite[-1] + spread)
    # Beyond an infinite break lies no offset.
    h[edges[1:] == edges[:-1]] = -1.0
    middles = (edges[1:] + edges[:-1]) / 2
    best = np.flatnonzero(h >= h.max() - 1e-12)
    pick = best[np.argmin(np.abs(middles[best]))]
    return float(middles[pick]), float(h[pick])
