"""How much seen classes resemble unseen ones, by their semantics: TCN's targets for unseen classes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def similarities(
    seen: Float[Tensor, "seen attributes"],
    unseen: Float[Tensor, "unseen attributes"],
    ridge: float,
    min_similarity: float,
) -> Float[Tensor, "seen unseen"]:
    """Coefficients s_k = argmin_s ‖a(k) − Σ_u s_u a(u)‖² + ridge ‖s‖² of every seen class k, where the mean
    over the attributes is subtracted from each class's semantics (an intercept).

    Args:
        min_similarity: smaller coefficients become 0; the rest of each row is then divided by its sum. The
            row of a seen class that resembles no unseen one is 0.
    """
    k, u = (a.double() - a.double().mean(dim=1, keepdim=True) for a in (seen, unseen))
    s = torch.linalg.solve(u @ u.T + ridge * torch.eye(len(u)).to(u), u @ k.T).T
    s = torch.where(s < min_similarity, 0, s)
    total = s.sum(dim=1, keepdim=True)
    return (s / torch.where(total > 0, total, 1)).to(seen.dtype)
