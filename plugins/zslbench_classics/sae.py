"""SAE, semantic autoencoder (Kodirov et al., CVPR 2017): a linear map W to the semantics, with its transpose
as the way back.

    min_W ‖X − Wᵀ S‖² + λ ‖W X − S‖²                                             (the paper's objective)

with images X (d, n) and their classes' semantics S (A, n). Where the derivative is 0,

    S Sᵀ W + λ W X Xᵀ = (1 + λ) S Xᵀ,                                              (a Sylvester equation)

whose solution here uses that both matrices are symmetric: with S Sᵀ = U diag(α) Uᵀ and λ X Xᵀ = V diag(β) Vᵀ,
W = U [(Uᵀ (1 + λ) S Xᵀ V)_ij / (α_i + β_j)] Vᵀ. Where α_i + β_j is 0 the right-hand side is 0 too, and W
is 0 there.

A test image is compared with a class by the cosine of W x and a(c), or of x and Wᵀ a(c).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Classifier, Networks, TrainView
from zslbench.training import unit
from zslbench_classics.settings import SAESettings


def solve(a: Float[Tensor, "k k"], b: Float[Tensor, "d d"], c: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
    """W with a W + W b = c, for symmetric a and b without negative eigenvalues.

    Where the equation leaves a part of W open, that part is 0.
    """
    (alpha, u), (beta, v) = torch.linalg.eigh(a), torch.linalg.eigh(b)
    total = alpha[:, None] + beta
    fixed = total > total.max() * torch.finfo(total.dtype).eps * max(total.shape)
    w: Tensor = u @ torch.where(fixed, u.T @ c @ v / torch.where(fixed, total, 1), 0) @ v.T
    return w


class SAE(Classifier):
    """The autoencoder in closed form; x and a(c) of unit length."""

    needs_examples = False
    settings: SAESettings

    def fit(self, view: TrainView) -> Networks:
        lam = self.settings.lam
        x = unit(view.features.double())
        s = unit(self.space.semantics.double())[view.labels]
        return {"autoencoder": {"W": solve(s.T @ s, lam * x.T @ x, (1 + lam) * s.T @ x)}}

    def scores(self, nets: Networks, features: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        """Cosines."""
        w, x, a = nets["autoencoder"]["W"], features.double(), self.space.semantics.double()
        if self.settings.unit_rows:
            w = unit(w)
        if self.settings.compare == "semantics":
            return unit(x @ w.T) @ unit(a).T
        return unit(x) @ unit(unit(a) @ w).T
