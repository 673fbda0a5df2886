"""The losses of SCEN and of EGGN's guidance; equation numbers are the paper's."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.training import of_label


def class_scores(
    e: Float[Tensor, "b attributes"], semantics: Float[Tensor, "classes attributes"]
) -> Float[Tensor, "b classes"]:
    """p_l, eq. (3): p_l(c) = a(c)ᵀ e_l."""
    return e @ semantics.T


def cross_entropy(
    scores: Float[Tensor, "b classes"],
    labels: Int[Tensor, " b"],
    among: Int[Tensor, " some"] | None = None,
) -> Float[Tensor, ""]:
    """Mean negative log-softmax of the true class, eqs. (6), (7), (14) and (15).

    Args:
        among: ids of the classes that the sum in the denominator runs over; None: all.
    """
    return (torch.logsumexp(_only(scores, among), dim=1) - of_label(scores, labels)).mean()


def _only(scores: Tensor, among: Tensor | None) -> Tensor:
    """The scores, -inf for other classes; not ``scores[:, among]``, which scatters its gradient."""
    if among is None:
        return scores
    classes = torch.arange(scores.shape[1], device=scores.device)
    return torch.where((classes[:, None] == among).any(dim=1), scores, -torch.inf)


def regression(
    local: Float[Tensor, "b classes"],
    found: Float[Tensor, "b classes"],
    reduction: Literal["sum", "mean"],
) -> Float[Tensor, ""]:
    """L_SCR, eq. (8): squared differences, summed or averaged over the classes, averaged over the batch."""
    squares = (local - found) ** 2
    return squares.sum(dim=1).mean() if reduction == "sum" else squares.mean()
