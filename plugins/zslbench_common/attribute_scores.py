"""Class scores from attribute scores, the classifier of plain attention embeddings.

An embedding gives attribute scores e of each image (n, A), or those of several heads side by side (n, H·A);
class c has semantics a(c) (A)::

    p_h(x, c) = scale · ⟨e_h, a(c)⟩            or, as cosine, scale · ⟨e_h, a(c)⟩ / (‖e_h‖ ‖a(c)‖)
    s(x, c)   = Σ_h w_h p_h(x, c) + offset · 1[c is unseen]

With ``softmax`` each p_h is first replaced by its softmax over the classes. Embeddings use the
functions here in their losses too, so that they train on the scores that they are evaluated by.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin import Classifier, Networks, TrainView
from zslbench.training import mask_classes, unit
from zslbench_common.settings import AttributeScoresSettings


def class_semantics(
    a: Float[Tensor, "classes attributes"],
    scaling: Literal["raw", "unit"] = "raw",
    *,
    keep_negatives: bool = True,
) -> Float[Tensor, "classes attributes"]:
    """a(c) as stored or of unit length.

    Args:
        keep_negatives: False sets entries below 0 to 0; in AWA1 and AWA2 they stand for missing values.
    """
    a = a if keep_negatives else a.clamp_min(0)
    return unit(a) if scaling == "unit" else a


def attribute_scores(
    e: Float[Tensor, "n attributes"],
    a: Float[Tensor, "classes attributes"],
    similarity: Literal["dot", "cosine"] = "dot",
    scale: float = 1.0,
) -> Float[Tensor, "n classes"]:
    """p(x, c): how well each image's attribute scores e fit each class's semantics a(c)."""
    return scale * (unit(e) @ unit(a).T if similarity == "cosine" else e @ a.T)


def favour_unseen(
    scores: Float[Tensor, "n classes"], unseen: Int[Tensor, " unseen"], offset: float
) -> Float[Tensor, "n classes"]:
    """Calibrated stacking (Chao et al., ECCV 2016): ``offset`` is added to the scores of unseen classes.
    Subtracting it from those of seen classes, or splitting it between both, gives the same predictions."""
    ids = torch.arange(scores.shape[1], device=scores.device)
    return scores + offset * (ids[:, None] == unseen).any(dim=1).to(scores.dtype)


def self_calibration(scores: Float[Tensor, "b classes"], unseen: Int[Tensor, " unseen"]) -> Float[Tensor, ""]:
    """DAZLE's loss that keeps unseen classes probable: −log of the batch's mean probability that an image is
    of an unseen class, −log (1/b) Σ_b Σ_unseen softmax(scores)."""
    log_mass = torch.logsumexp(mask_classes(scores, unseen), dim=1) - torch.logsumexp(scores, dim=1)
    return math.log(len(scores)) - torch.logsumexp(log_mass, dim=0)


class AttributeScores(Classifier):
    """s(x, c) from the embedding's attribute scores; it has no parameters."""

    needs_examples = False
    settings: AttributeScoresSettings

    def fit(self, view: TrainView) -> Networks:
        width, attributes = view.features.shape[1], self.space.semantics.shape[1]
        if width != len(self.settings.head_weights) * attributes:
            raise ZslbenchError(
                f"classifier attribute-scores: features are {width} wide, not the {attributes} attribute "
                f"scores of {len(self.settings.head_weights)} head(s); use an embedding that gives attribute "
                "scores, set head_weights, or for method clip give features and semantics of one model"
            )
        return {}

    @property
    def offset(self) -> float:
        """The offset in use."""
        if self.settings.offset is not None:
            return self.settings.offset
        return float(getattr(getattr(self.embedding, "settings", None), "offset", 0.0))

    @property
    def semantics(self) -> Float[Tensor, "classes attributes"]:
        """a(c), without negative values where the embedding learned from such (its ``keep_negatives``)."""
        keep = getattr(getattr(self.embedding, "settings", None), "keep_negatives", True)
        return class_semantics(self.space.semantics, self.settings.semantics, keep_negatives=keep)

    def scores(self, nets: Networks, features: Float[Tensor, "n e"]) -> Float[Tensor, "n classes"]:
        s, a = self.settings, self.semantics
        heads = features.chunk(len(s.head_weights), dim=1)
        fits = [attribute_scores(e, a, s.similarity, s.scale) for e in heads]
        fits = [torch.softmax(p, dim=1) for p in fits] if s.softmax else fits
        total = sum((w * p for w, p in zip(s.head_weights, fits, strict=True)), torch.zeros_like(fits[0]))
        return favour_unseen(total, self.space.unseen, self.offset)
