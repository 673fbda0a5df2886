"""The losses of SCEN and of EGGN's guidance; equation numbers are the paper's."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor


def class_scores(
    e: Float[Tensor, "b attributes"], semantics: Float[Tensor, "classes attributes"]
) -> Float[Tensor, "b classes"]:
    """p_l, eq. (3): p_l(c) = a(c)ᵀ e_l."""
    return e @ semantics.T


def regression(
    local: Float[Tensor, "b classes"],
    found: Float[Tensor, "b classes"],
    reduction: Literal["sum", "mean"],
) -> Float[Tensor, ""]:
    """L_SCR, eq. (8): squared differences, summed or averaged over the classes, averaged over the batch."""
    squares = (local - found) ** 2
    return squares.sum(dim=1).mean() if reduction == "sum" else squares.mean()
