import torch

from zslbench.plugin import Classifier, Networks, TrainView


class ESZSL(Classifier):
    """W = (XᵀX + γI)⁻¹ Xᵀ Y S (SᵀS + λI)⁻¹; score(x, c) = xᵀ W s_c, with s_c of unit length."""

    needs_examples = False

    def fit(self, view: TrainView) -> Networks:
        x, present = view.features.double(), torch.unique(view.labels)
        y = (view.labels[:, None] == present).double()
        y = 2 * y - 1 if self.settings.coding == "pm1" else y
        s = self.signatures()[present]
        left = x.T @ x + self.settings.gamma * torch.eye(x.shape[1]).to(x)
        right = s.T @ s + self.settings.lam * torch.eye(s.shape[1]).to(s)
        w = torch.linalg.solve(left, x.T @ y @ s)
        return {"eszsl": {"W": torch.linalg.solve(right, w.T).T}}

    def signatures(self) -> torch.Tensor:
        return torch.nn.functional.normalize(self.space.semantics.double())

    def scores(self, nets: Networks, features: torch.Tensor) -> torch.Tensor:
        return features.double() @ nets["eszsl"]["W"] @ self.signatures().T
