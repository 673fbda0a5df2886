from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Classifier, Networks, TrainView


class ESZSL(Classifier):
    """W = (XᵀX + γI)⁻¹ Xᵀ Y S (SᵀS + λI)⁻¹; score(x, c) = xᵀ W s_c, with s_c of unit length."""

    needs_examples = False

    def fit(self, view: TrainView) -> Networks:
        x, present = view.features.double(), torch.unique(view.labels)
        s = self.signatures[present]
        # Row i of YS: image i's own s_c (Y: 1), and the s of all other seen classes (Y: -1 or 0).
        ys = self.signatures[view.labels]
        if self.settings.coding == "pm1":
            ys = 2 * ys - s.sum(dim=0)
        left = x.T @ x + self.settings.gamma * torch.eye(x.shape[1]).to(x)
        right = s.T @ s + self.settings.lam * torch.eye(s.shape[1]).to(s)
        w = torch.linalg.solve(left, x.T @ ys)
        return {"eszsl": {"W": torch.linalg.solve(right, w.T).T}}

    @cached_property
    def signatures(self) -> Float[Tensor, "classes attributes"]:
        return torch.nn.functional.normalize(self.space.semantics.double())

    def scores(self, nets: Networks, features: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        return features.double() @ nets["eszsl"]["W"] @ self.signatures.T
