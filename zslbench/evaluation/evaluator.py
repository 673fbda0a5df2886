"""The only evaluator. It alone reads test labels; a method returns scores and nothing else.

CZSL Acc, GZSL U, S, H (Xian et al., TPAMI 2018), the seen-unseen curve and its area (Chao et al., ECCV 2016),
and calibrated stacking with an offset that comes from validation. All figures are fractions in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from torch import Tensor

from zslbench.errors import PluginError
from zslbench.evaluation.folds import Fold, HeldOut
from zslbench.evaluation.metrics import METRICS

Score = Callable[[Tensor], Tensor]
"""Features (n, d) to scores (n, classes)."""

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
    left out of the averages, images of other classes are ignored, and a side without images is NaN. The
    end points are the accuracies with the classes restricted to one side.
    """
    # In float32, different margins of float32 scores could become equal.
    wide = scores.astype(np.float64)
    is_seen, is_unseen = np.isin(labels, seen), np.isin(labels, unseen)
    with np.errstate(invalid="ignore"):
        margin = wide[:, seen].max(axis=1) - wide[:, unseen].max(axis=1)
    # Infinite on both sides: no finite offset can favour the image's own side.
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
    return Curve(breaks, s if is_seen.any() else missing, u if is_unseen.any() else missing)


def best_offset(curve: Curve) -> tuple[float, float]:
    """The calibration offset γ with the highest H, and that H.

    γ is the middle of its interval, where the outer intervals are as wide as the spread of the margins; of
    equally good intervals the one whose middle is nearest to 0 is taken. Subtract it in float64.
    """
    finite = curve.breaks[np.isfinite(curve.breaks)]
    total = curve.seen + curve.unseen
    h = np.divide(2 * curve.seen * curve.unseen, total, out=np.zeros_like(total), where=total > 0)
    if not len(finite):
        return 0.0, float(h[np.searchsorted(curve.breaks, 0.0)])
    spread = float(finite[-1] - finite[0]) or 1.0
    edges = np.concatenate([[-np.inf], curve.breaks, [np.inf]]).clip(finite[0] - spread, finite[-1] + spread)
    # No offset lies beyond an infinite break.
    h[edges[1:] == edges[:-1]] = -1.0
    middles = (edges[1:] + edges[:-1]) / 2
    best = np.flatnonzero(h >= h.max() - 1e-12)
    pick = best[np.argmin(np.abs(middles[best]))]
    return float(middles[pick]), float(h[pick])


@dataclass(frozen=True)
class Evaluation:
    """Scores of a fold's held-out images, and every figure computed from them."""

    class_names: tuple[str, ...]
    seen: Int[np.ndarray, " seen"]
    unseen: Int[np.ndarray, " unseen"]
    labels: Int[np.ndarray, " n"]
    """Class ids; test_seen images first, then test_unseen."""
    rows: Int[np.ndarray, " n"]
    is_unseen: Bool[np.ndarray, " n"]
    """Whether each image is of an unseen class."""
    gzsl: Float[np.ndarray, "n classes"] | None
    """f_gzsl's scores over all classes; None for a method that does CZSL only."""
    czsl: Float[np.ndarray, "m unseen"] | None
    """f_czsl's scores of the test_unseen images over the unseen classes; None if not wanted."""

    @cached_property
    def accuracy_per_class(self) -> np.ndarray:
        """GZSL accuracy of every class of the space; NaN without test images or f_gzsl."""
        if self.gzsl is None:
            return np.full(len(self.class_names), np.nan)
        hits = correct(self.gzsl, self.labels)
        return accuracy_per_class(hits, self.labels, np.arange(len(self.class_names)))

    @cached_property
    def czsl_accuracy_per_class(self) -> np.ndarray:
        """CZSL accuracy of every unseen class, in the order of ``unseen``."""
        if self.czsl is None:
            return np.full(len(self.unseen), np.nan)
        labels = self._unseen_labels
        return accuracy_per_class(correct(self.czsl, labels), labels, np.arange(len(self.unseen)))

    @property
    def _unseen_labels(self) -> np.ndarray:
        """Columns of ``czsl`` that the images of unseen classes belong to."""
        return np.asarray(np.searchsorted(self.unseen, self.labels[self.is_unseen]))

    @cached_property
    def curve(self) -> Curve | None:
        """f_gzsl's own seen-unseen curve."""
        if self.gzsl is None:
            return None
        return seen_unseen_curve(self.gzsl, self.labels, self.seen, self.unseen)

    @property
    def acc(self) -> float:
        """CZSL Acc."""
        return mean_over_classes(self.czsl_accuracy_per_class)

    @property
    def u(self) -> float:
        """GZSL accuracy of unseen classes."""
        return mean_over_classes(self.accuracy_per_class[self.unseen])

    @property
    def s(self) -> float:
        """GZSL accuracy of seen classes."""
        return mean_over_classes(self.accuracy_per_class[self.seen])

    @property
    def h(self) -> float:
        """Harmonic mean of U and S."""
        return harmonic_mean(self.u, self.s)

    @property
    def ausuc(self) -> float:
        """Area under the seen-unseen curve."""
        return float("nan") if self.curve is None else self.curve.area

    def best_offset(self) -> float | None:
        """The calibration offset with the highest H on these images, for validation images."""
        return None if self.curve is None else best_offset(self.curve)[0]

    def calibrated(self, offset: float) -> Evaluation:
        """The same images with ``offset`` subtracted from every seen class's score, in float64."""
        assert self.gzsl is not None
        shifted = self.gzsl.astype(np.float64)
        shifted[:, self.seen] -= offset
        return replace(self, gzsl=shifted)

    def figures(self, *, calibrated: bool = False) -> dict[str, float]:
        """Every metric of the table by its key, NaN where not evaluated.

        Args:
            calibrated: the calibrated metrics, for a result of :meth:`calibrated`; else the others.
        """
        shown = {key: one for key, one in METRICS.items() if (one.group == "calibrated") is calibrated}
        return {key: one.measure(self) for key, one in shown.items()}

    # --- tables of a run's record ------------------------------------------------------------------

    def classes_table(self) -> pd.DataFrame:
        """One row per class: id, name, side, number of test images, GZSL and CZSL accuracy."""
        czsl = np.full(len(self.class_names), np.nan)
        czsl[self.unseen] = self.czsl_accuracy_per_class
        return pd.DataFrame(
            {
                "class_id": np.arange(len(self.class_names)),
                "name": list(self.class_names),
                "side": np.where(np.isin(np.arange(len(self.class_names)), self.unseen), "unseen", "seen"),
                "images": np.bincount(self.labels, minlength=len(self.class_names)),
                "gzsl_accuracy": self.accuracy_per_class,
                "czsl_accuracy": czsl,
            }
        )

    def predictions_table(self) -> pd.DataFrame:
        """One row per test image: row in the data set, side, label, predictions and whether they count."""
        n = len(self.labels)
        table: dict[str, object] = {
            "image": self.rows,
            "side": np.where(self.is_unseen, "unseen", "seen"),
            "label": self.labels,
        }
        if self.gzsl is not None:
            table["gzsl_prediction"] = self.gzsl.argmax(axis=1)
            table["gzsl_correct"] = correct(self.gzsl, self.labels)
            table["gzsl_margin"] = self.gzsl[:, self.seen].max(axis=1) - self.gzsl[:, self.unseen].max(axis=1)
        if self.czsl is not None:
            predicted, right = np.full(n, -1), np.zeros(n, dtype=bool)
            predicted[self.is_unseen] = self.unseen[self.czsl.argmax(axis=1)]
            right[self.is_unseen] = correct(self.czsl, self._unseen_labels)
            table["czsl_prediction"], table["czsl_correct"] = predicted, right
        return pd.DataFrame(table)

    def curve_table(self) -> pd.DataFrame:
        """The curve's points: accuracy on each side for offsets up to ``until`` (infinite for the last)."""
        if self.curve is None:
            return pd.DataFrame({"until": [], "seen": [], "unseen": []})
        until = np.append(self.curve.breaks.astype(np.float64), np.inf)
        return pd.DataFrame({"until": until, "seen": self.curve.seen, "unseen": self.curve.unseen})


def evaluate(fold: Fold, gzsl: Score | None, czsl: Score | None) -> Evaluation:
    """Score a fold's held-out images; PluginError if scores are NaN or have a wrong shape.

    Args:
        fold: its test images are embedded, g (n, d).
        gzsl: f_gzsl, g to scores over all classes; None: CZSL only.
        czsl: f_czsl, g to scores over the unseen classes; None: not wanted.
    """
    space, both = fold.space, (fold.test_seen, fold.test_unseen)
    classes, unseen = len(space.names), len(space.unseen)
    return Evaluation(
        class_names=space.names,
        seen=space.seen.cpu().numpy(),
        unseen=space.unseen.cpu().numpy(),
        labels=np.concatenate([side.labels for side in both]),
        rows=np.concatenate([side.rows for side in both]),
        is_unseen=np.repeat([False, True], [len(side.labels) for side in both]),
        gzsl=None if gzsl is None else np.concatenate([_score(gzsl, side, classes) for side in both]),
        czsl=None if czsl is None else _score(czsl, fold.test_unseen, unseen),
    )


def _score(score: Score, side: HeldOut, classes: int) -> np.ndarray:
    parts = []
    for inputs in side.inputs():
        scores = score(inputs)
        if tuple(scores.shape) != (len(inputs), classes):
            raise PluginError(
                f"classifier returned scores of shape {tuple(scores.shape)} for {len(inputs)} images and "
                f"{classes} classes; it must return one score per image and class"
            )
        parts.append(scores.detach().cpu().numpy())
    scores_all = np.concatenate(parts)
    if not np.issubdtype(scores_all.dtype, np.floating):
        scores_all = scores_all.astype(np.float64)
    if nan := int(np.isnan(scores_all).any(axis=1).sum()):
        raise PluginError(f"classifier returned NaN scores for {nan} of {len(scores_all)} images")
    return scores_all
