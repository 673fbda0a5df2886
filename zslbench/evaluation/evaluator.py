"""The one evaluator. It alone holds test labels; a method hands over scores and nothing else.

CZSL Acc, GZSL U, S, H (Xian et al. 2018), the seen-unseen curve and its area (Chao et al. 2016), and
calibrated stacking with an offset that comes from validation. All figures are fractions in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.errors import PluginError
from zslbench.evaluation import formulas
from zslbench.evaluation.folds import Fold, HeldOut
from zslbench.evaluation.metrics import METRICS
from zslbench.plugin.interfaces import ClassSpace

if TYPE_CHECKING:
    import pandas as pd

Score = Callable[[Tensor], Tensor]
"""Features (n, d) to scores (n, classes)."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of the held-out images of a fold, and every figure that follows from them."""

    class_names: tuple[str, ...]
    seen: Int[np.ndarray, " seen"]
    unseen: Int[np.ndarray, " unseen"]
    labels: Int[np.ndarray, " n"]
    """Class ids; test_seen images first, then test_unseen."""
    rows: Int[np.ndarray, " n"]
    gzsl: Float[np.ndarray, "n classes"] | None
    """f_gzsl's scores over all classes; None for a method that does CZSL only."""
    czsl: Float[np.ndarray, "m unseen"] | None
    """f_czsl's scores of the test_unseen images over the unseen classes; None where not asked for."""

    @property
    def is_unseen(self) -> np.ndarray:
        """Whether each image is of an unseen class."""
        return np.isin(self.labels, self.unseen)

    @cached_property
    def accuracy_per_class(self) -> np.ndarray:
        """GZSL accuracy of every class of the space, NaN without test images or without f_gzsl."""
        classes = np.arange(len(self.class_names))
        if self.gzsl is None:
            return np.full(len(classes), np.nan)
        return formulas.accuracy_per_class(formulas.correct(self.gzsl, self.labels), self.labels, classes)

    @cached_property
    def czsl_accuracy_per_class(self) -> np.ndarray:
        """CZSL accuracy of every unseen class, in the order of ``unseen``."""
        if self.czsl is None:
            return np.full(len(self.unseen), np.nan)
        labels = np.searchsorted(self.unseen, self.labels[self.is_unseen])
        hits = formulas.correct(self.czsl, labels)
        return formulas.accuracy_per_class(hits, labels, np.arange(len(self.unseen)))

    @cached_property
    def curve(self) -> formulas.Curve | None:
        """f_gzsl's own seen-unseen curve."""
        if self.gzsl is None:
            return None
        return formulas.seen_unseen_curve(self.gzsl, self.labels, self.seen, self.unseen)

    @property
    def acc(self) -> float:
        """CZSL Acc."""
        return formulas.mean_over_classes(self.czsl_accuracy_per_class)

    @property
    def u(self) -> float:
        """GZSL accuracy of unseen classes."""
        return formulas.mean_over_classes(self.accuracy_per_class[self.unseen])

    @property
    def s(self) -> float:
        """GZSL accuracy of seen classes."""
        return formulas.mean_over_classes(self.accuracy_per_class[self.seen])

    @property
    def h(self) -> float:
        """Harmonic mean of U and S."""
        return formulas.harmonic_mean(self.u, self.s)

    @property
    def ausuc(self) -> float:
        """Area under the seen-unseen curve."""
        return float("nan") if self.curve is None else self.curve.area

    def best_offset(self) -> float | None:
        """The calibration offset with the highest H on these images; meant for validation images."""
        return None if self.curve is None else formulas.best_offset(self.curve)[0]

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
        return {
            key: one.measure(self)
            for key, one in METRICS.items()
            if (one.group == "calibrated") is calibrated
        }

    # --- tables of a run's record ------------------------------------------------------------------

    def classes_table(self) -> pd.DataFrame:
        """One row per class: id, name, side, number of test images, GZSL and CZSL accuracy."""
        import pandas as pd

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
        import pandas as pd

        n = len(self.labels)
        table: dict[str, object] = {
            "image": self.rows,
            "side": np.where(self.is_unseen, "unseen", "seen"),
            "label": self.labels,
        }
        if self.gzsl is not None:
            table["gzsl_prediction"] = self.gzsl.argmax(axis=1)
            table["gzsl_correct"] = formulas.correct(self.gzsl, self.labels)
            table["gzsl_margin"] = self.gzsl[:, self.seen].max(axis=1) - self.gzsl[:, self.unseen].max(axis=1)
        if self.czsl is not None:
            predicted, right = np.full(n, -1), np.zeros(n, dtype=bool)
            labels = np.searchsorted(self.unseen, self.labels[self.is_unseen])
            predicted[self.is_unseen] = self.unseen[self.czsl.argmax(axis=1)]
            right[self.is_unseen] = formulas.correct(self.czsl, labels)
            table["czsl_prediction"], table["czsl_correct"] = predicted, right
        return pd.DataFrame(table)

    def curve_table(self) -> pd.DataFrame:
        """The curve's points: accuracy on each side for offsets up to ``until`` (infinite for the last)."""
        import pandas as pd

        if self.curve is None:
            return pd.DataFrame({"until": [], "seen": [], "unseen": []})
        until = np.append(self.curve.breaks.astype(np.float64), np.inf)
        return pd.DataFrame({"until": until, "seen": self.curve.seen, "unseen": self.curve.unseen})


class Evaluator:
    """Holds a fold's test images and labels; gives out images to be scored and takes scores back."""

    def __init__(self, fold: Fold, embed: Callable[[Tensor], Tensor]) -> None:
        """``embed`` maps raw test inputs to g (n, d); it is applied once."""
        self._space: ClassSpace = fold.space
        self._seen: HeldOut = fold.test_seen.embedded(embed)
        self._unseen: HeldOut = fold.test_unseen.embedded(embed)

    def evaluate(self, gzsl: Score | None, czsl: Score | None) -> Evaluation:
        """Score the held-out images.

        Args:
            gzsl: f_gzsl, g to scores over all classes; None: CZSL only.
            czsl: f_czsl, g to scores over the unseen classes; None: not asked for.

        Raises:
            PluginError: scores of a wrong shape, or NaN.
        """
        classes, unseen = len(self._space.names), len(self._space.unseen)
        both = (self._seen, self._unseen)
        return Evaluation(
            class_names=self._space.names,
            seen=self._space.seen.cpu().numpy(),
            unseen=self._space.unseen.cpu().numpy(),
            labels=np.concatenate([side.labels for side in both]),
            rows=np.concatenate([side.rows for side in both]),
            gzsl=None if gzsl is None else np.concatenate([_score(gzsl, side, classes) for side in both]),
            czsl=None if czsl is None else _score(czsl, self._unseen, unseen),
        )


def _score(score: Score, side: HeldOut, classes: int) -> np.ndarray:
    parts = []
    for inputs in side.inputs():
        scores = score(inputs)
        if tuple(scores.shape) != (len(inputs), classes):
            raise PluginError(
                f"classifier gave scores of shape {tuple(scores.shape)} for {len(inputs)} images and "
                f"{classes} classes; it must give one score per image and class"
            )
        parts.append(scores.detach().cpu().numpy())
    scores_all = np.concatenate(parts)
    if not np.issubdtype(scores_all.dtype, np.floating):
        scores_all = scores_all.astype(np.float64)
    if nan := int(np.isnan(scores_all).any(axis=1).sum()):
        raise PluginError(f"classifier gave NaN scores for {nan} of {len(scores_all)} images")
    return scores_all
