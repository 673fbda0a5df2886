"""The only evaluator. It alone reads test labels; a method returns scores and nothing else.

CZSL Acc, GZSL U, S, H (Xian et al., TPAMI 2018), the seen-unseen curve and its area (Chao et al., ECCV 2016),
and calibrated stacking with an offset that comes from validation. All figures are fractions in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from torch import Tensor

from zslbench.errors import PluginError
from zslbench.evaluation.folds import Fold, HeldOut
from zslbench.evaluation.leaders import ClassIds, Labels, Leaders, Scores, Sides, joined
from zslbench.evaluation.metrics import METRICS

Score = Callable[[Tensor], Tensor]
"""Features (n, d) to scores (n, classes)."""


def accuracy_per_class(
    hits: Bool[np.ndarray, " n"], labels: Labels, classes: ClassIds
) -> Float[np.ndarray, " _"]:
    """Share of hits among the images of each class in ``classes``; NaN for a class without images."""
    size = max((int(ids.max()) + 1 for ids in (labels, classes) if len(ids)), default=0)
    total, hit = (np.bincount(ids, minlength=size)[classes] for ids in (labels, labels[hits]))
    return np.where(total > 0, hit / np.maximum(total, 1), np.nan)


TOP = 5
"""The k of top-k accuracy."""


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


def seen_unseen_curve(sides: Sides, labels: Labels, seen: ClassIds, unseen: ClassIds) -> Curve:
    """The exact curve by one sort of the margins m = max seen score - max unseen score.

    A seen image is right iff its best seen class is its own and m > γ; an unseen image iff its best
    unseen class is its own and m < γ; ties within a side count as wrong. Classes without images are
    left out of the averages, images of other classes are ignored, and a side without images is NaN. The
    end points are the accuracies with the classes restricted to one side.
    """
    is_seen, is_unseen = np.isin(labels, seen), np.isin(labels, unseen)
    # In float32, different margins of float32 scores could become equal.
    of_seen, of_unseen = (one.score.astype(np.float64) for one in (sides.seen, sides.unseen))
    with np.errstate(invalid="ignore"):
        margin = of_seen - of_unseen
    # Infinite on both sides: no finite offset can favour the image's own side.
    undecided = np.isnan(margin) & ~np.isnan(of_seen) & ~np.isnan(of_unseen)
    margin[undecided] = np.where(is_seen[undecided], -np.inf, np.inf)
    weight = np.zeros(len(labels))
    for side, of_side in ((sides.seen, is_seen), (sides.unseen, is_unseen)):
        own, sizes = labels[of_side], np.bincount(labels[of_side])
        weight[of_side] = side.right(labels)[of_side] / (sizes[own] * max(1, np.count_nonzero(sizes)))
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
    """The highest-scoring classes of each of a fold's held-out images, and the figures computed from them."""

    class_names: tuple[str, ...]
    seen: Int[np.ndarray, " seen"]
    unseen: Int[np.ndarray, " unseen"]
    labels: Int[np.ndarray, " n"]
    """Class ids; test_seen images first, then test_unseen."""
    rows: Int[np.ndarray, " n"]
    is_unseen: Bool[np.ndarray, " n"]
    """Whether each image is of an unseen class."""
    gzsl: Sides | None
    """f_gzsl's leaders; None for a method that only does CZSL."""
    czsl: Leaders | None
    """f_czsl's leaders among the unseen classes, of the test_unseen images; None if not wanted."""
    scores: Mapping[str, Float[np.ndarray, "_ _"]] = field(default_factory=dict)
    """All scores by task, ``gzsl`` (n, classes) and ``czsl`` (m, unseen), if the caller asked for them."""

    @cached_property
    def accuracy_per_class(self) -> np.ndarray:
        """GZSL accuracy of every class of the space; NaN without test images or f_gzsl."""
        classes = np.arange(len(self.class_names))
        if self.gzsl is None:
            return np.full(len(classes), np.nan)
        return accuracy_per_class(self.gzsl.all.right(self.labels), self.labels, classes)

    @cached_property
    def czsl_accuracy_per_class(self) -> np.ndarray:
        """CZSL accuracy of every unseen class, in the order of ``unseen``."""
        if self.czsl is None:
            return np.full(len(self.unseen), np.nan)
        labels = self.labels[self.is_unseen]
        return accuracy_per_class(self.czsl.right(labels), labels, self.unseen)

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

    @property
    def micro(self) -> float:
        """Share of all test images that GZSL classifies correctly."""
        return _share(None if self.gzsl is None else self.gzsl.all.right(self.labels))

    @property
    def acc_micro(self) -> float:
        """Share of the unseen classes' test images that CZSL classifies correctly."""
        return _share(None if self.czsl is None else self.czsl.right(self.labels[self.is_unseen]))

    @property
    def acc_top5(self) -> float:
        """Top-5 accuracy of CZSL, averaged over the unseen classes."""
        labels = self.labels[self.is_unseen]
        return _top5_accuracy(self.czsl, labels, self.unseen)

    @property
    def u_top5(self) -> float:
        """Top-5 accuracy of GZSL, averaged over the unseen classes."""
        return self._gzsl_top5(self.unseen)

    @property
    def s_top5(self) -> float:
        """Top-5 accuracy of GZSL, averaged over the seen classes."""
        return self._gzsl_top5(self.seen)

    def _gzsl_top5(self, classes: ClassIds) -> float:
        best = None if self.gzsl is None else self.gzsl.all
        return _top5_accuracy(best, self.labels, classes)

    def best_offset(self) -> float | None:
        """The calibration offset with the highest H on these images, for validation images."""
        return None if self.curve is None else best_offset(self.curve)[0]

    def calibrated(self, offset: float) -> Evaluation:
        """The same images with ``offset`` subtracted from every seen class's score, in float64."""
        assert self.gzsl is not None
        return replace(self, gzsl=self.gzsl.less(offset))

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
            best = self.gzsl.all
            table["gzsl_prediction"] = best.label
            table["gzsl_correct"] = best.right(self.labels)
            table["gzsl_margin"] = self.gzsl.seen.score - self.gzsl.unseen.score
        if self.czsl is not None:
            predicted, right = np.full(n, -1), np.zeros(n, dtype=bool)
            predicted[self.is_unseen] = self.czsl.label
            right[self.is_unseen] = self.czsl.right(self.labels[self.is_unseen])
            table["czsl_prediction"], table["czsl_correct"] = predicted, right
        return pd.DataFrame(table)

    def curve_table(self) -> pd.DataFrame:
        """The curve's points: accuracy on each side for offsets up to ``until`` (infinite for the last)."""
        if self.curve is None:
            return pd.DataFrame({"until": [], "seen": [], "unseen": []})
        until = np.append(self.curve.breaks.astype(np.float64), np.inf)
        return pd.DataFrame({"until": until, "seen": self.curve.seen, "unseen": self.curve.unseen})


def _share(hits: Bool[np.ndarray, " n"] | None) -> float:
    return float("nan") if hits is None or not len(hits) else float(hits.mean())


def _top5_accuracy(found: Leaders | None, labels: Labels, classes: ClassIds) -> float:
    """Top-5 accuracy, averaged over ``classes``: an image counts as correct if fewer than five other classes
    score at least as high as its own (so with five classes, always). NaN if rivals are unknown."""
    if found is None or np.isnan(found.rivals).any():
        return float("nan")
    return mean_over_classes(accuracy_per_class(found.rivals <= TOP, labels, classes))


def evaluate(
    fold: Fold, scores: Mapping[str, Score], tasks: Collection[str], *, keep: bool = False
) -> Evaluation:
    """Score a fold's held-out images; PluginError if scores are NaN or have a wrong shape.

    Args:
        fold: its test images are embedded, g (n, d).
        scores: ``gzsl``: f_gzsl, g to scores over all classes; ``czsl``: f_czsl, over the unseen classes.
            Without the latter, f_czsl is f_gzsl restricted to the unseen classes.
        tasks: what is evaluated.
        keep: whether the evaluation keeps all scores.
    """
    space, both, kept = fold.space, (fold.test_seen, fold.test_unseen), dict[str, Scores]()
    seen, unseen = space.seen.cpu().numpy(), space.unseen.cpu().numpy()
    gzsl: Sides | None = None
    czsl: Leaders | None = None

    def by_side(part: Scores, labels: Labels) -> list[Leaders]:
        found = Sides.of(part, seen, unseen, _true_class_scores(part, labels))
        return [found.seen, found.unseen]

    def among_unseen(part: Scores, labels: Labels) -> list[Leaders]:
        return [Leaders.of(part, unseen, _true_class_scores(part, np.searchsorted(unseen, labels)))]

    if "gzsl" in scores:
        sides = both if "gzsl" in tasks else both[1:]
        ranked = [_ranked(scores["gzsl"], side, len(space.names), by_side, keep) for side in sides]
        if "gzsl" in tasks:
            gzsl = Sides(*(joined([of_side[one] for of_side, _ in ranked]) for one in (0, 1)))
            kept["gzsl"] = np.concatenate([whole for _, whole in ranked])
        if "czsl" in tasks:
            czsl, kept["czsl"] = ranked[-1][0][1], ranked[-1][1][:, unseen]
    if "czsl" in scores:
        [czsl], kept["czsl"] = _ranked(scores["czsl"], fold.test_unseen, len(unseen), among_unseen, keep)
    return Evaluation(
        class_names=space.names,
        seen=seen,
        unseen=unseen,
        labels=np.concatenate([side.labels for side in both]),
        rows=np.concatenate([side.rows for side in both]),
        is_unseen=np.repeat([False, True], [len(side.labels) for side in both]),
        gzsl=gzsl,
        czsl=czsl,
        scores=kept if keep else {},
    )


def _true_class_scores(scores: Scores, columns: Labels) -> Float[np.ndarray, " n"]:
    return np.asarray(scores[np.arange(len(scores)), columns])


def _ranked(
    score: Score, side: HeldOut, classes: int, rank: Callable[[Scores, Labels], list[Leaders]], keep: bool
) -> tuple[list[Leaders], Scores]:
    """The leaders of a side's images, and all scores if they are kept, otherwise none."""
    none, done = np.zeros((0, classes)), 0
    found, kept = [rank(none, side.labels[:0])], []
    for inputs in side.inputs(classes):
        scores = score(inputs)
        if tuple(scores.shape) != (len(inputs), classes):
            raise PluginError(
                f"classifier returned scores of shape {tuple(scores.shape)} for {len(inputs)} images and "
                f"{classes} classes; it must return one score per image and class"
            )
        if not scores.is_floating_point():
            scores = scores.double()
        elif scores.element_size() < 4:  # NumPy has no bfloat16
            scores = scores.float()
        part = scores.detach().cpu().numpy()
        found.append(rank(part, side.labels[done : done + len(part)]))
        done += len(part)
        if keep:
            kept.append(part)
    leaders = [joined(parts) for parts in zip(*(found[1:] or found), strict=True)]
    if nan := np.count_nonzero(np.any([np.isnan(one.score) for one in leaders], axis=0)):
        raise PluginError(f"classifier returned NaN scores for {nan} of {len(side.rows)} images")
    return leaders, np.concatenate(kept) if kept else none
