"""DAP, direct attribute prediction (Lampert et al., CVPR 2009): a classifier for each attribute; a class is
as likely as its attributes.

    p(c | x) ∝ ∏_m p(a_m = a_cm | x) / p(a_m = a_cm)

with binary attributes a_cm: whether a(c)'s entry m is above its mean over all classes. p(a_m = 1 | x) is a
logistic regression σ(w_mᵀ x + b_m) on the training images, each labelled with its class's attributes,

    min_{w, b} ½ ‖w_m‖² + C Σ_i log(1 + exp(−±(w_mᵀ x_i + b_m))),

and p(a_m = 1) is the mean of a_cm over seen classes. An attribute that all seen classes share, or none has,
cannot be learnt: it is left out. The paper uses support vector machines with Platt scaling instead, on
histogram features. Semantics should be attributes as rated (``original_att``): scaling each class to unit
length moves 1 to 4 % of the entries of the six data sets across their means.
"""

from __future__ import annotations

import logging

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Classifier, Networks, TrainView
from zslbench_classics.settings import DAPSettings

log = logging.getLogger("zslbench")

TOLERANCE = 1e-6
"""L-BFGS has converged when no entry of the gradient of the mean loss over images is larger. The weights are
scaled so that the curvature is at most 1."""


MOST_NEGATIVE = 0.1
"""More negative semantics than this share are not ratings of attributes. AWA marks missing ones by -1."""


def warn_unless_rated(a: Float[Tensor, "classes attributes"]) -> None:
    """Say that the semantics are scaled to unit length, or are no attributes at all."""
    lengths, negative = a.norm(dim=1), float((a < 0).double().mean())
    if negative > MOST_NEGATIVE:
        log.warning(
            "dap: %.0f %% of the class semantics are negative, so they are hardly attributes that a class "
            "has or lacks; each dimension is compared with its mean all the same",
            100 * negative,
        )
    elif torch.allclose(lengths, lengths.mean(), rtol=1e-3):
        log.warning(
            "dap: the class semantics have unit length, which moves attributes across their means; use "
            "--semantics original_att where the data set has them"
        )


class DAP(Classifier):
    """A logistic regression for each attribute, at the optimum; the score of a class is its log p(c | x)."""

    needs_examples = False
    settings: DAPSettings

    def fit(self, view: TrainView) -> Networks:
        a = self.space.semantics.double()
        warn_unless_rated(a)
        threshold = a.mean(dim=0)
        prior = (a[self.space.seen] > threshold).double().mean(dim=0)
        learnt = (prior > 0) & (prior < 1)
        targets = (a[view.labels] > threshold)[:, learnt].double()
        weight, bias = self.regress(view.features.double(), targets)
        net = {"weight": weight, "bias": bias, "prior": prior[learnt], "threshold": threshold}
        return {"attributes": net | {"learnt": learnt}}

    def regress(
        self, x: Float[Tensor, "n d"], targets: Float[Tensor, "n attributes"]
    ) -> tuple[Float[Tensor, "attributes d"], Float[Tensor, " attributes"]]:
        """w and b of every attribute's logistic regression; warns if L-BFGS has not converged."""
        n = len(x)
        x = torch.cat([x, torch.ones(n, 1).to(x)], dim=1)  # the last weight of each row is b
        ridge = torch.full((x.shape[1],), 1 / (self.settings.c * n)).to(x)
        ridge[-1] = 0
        # The Hessian of the mean loss is nowhere larger than L Lᵀ, so in v = Lᵀ w no curvature exceeds 1.
        root = torch.linalg.cholesky(x.T @ x / (4 * n) + torch.diag(ridge))
        whitened = torch.linalg.solve_triangular(root, x.T, upper=False).T.contiguous()
        v = torch.zeros(targets.shape[1], x.shape[1]).to(x).requires_grad_()

        def weights() -> Float[Tensor, "attributes d_and_1"]:
            scaled: Tensor = torch.linalg.solve_triangular(root.T, v.T, upper=True)
            return scaled.T

        def loss() -> Float[Tensor, ""]:
            """The objective divided by C n, over all attributes."""
            wrong = torch.nn.functional.softplus((1 - 2 * targets) * (whitened @ v.T)).sum() / n
            total = wrong + (ridge * weights() ** 2).sum() / 2
            (v.grad,) = torch.autograd.grad(total, v)
            return total.detach()

        descent = torch.optim.LBFGS(
            [v],
            max_iter=self.settings.iterations,
            tolerance_grad=TOLERANCE,
            tolerance_change=0,
            history_size=20,
            line_search_fn="strong_wolfe",
        )
        with torch.enable_grad():
            descent.step(loss)  # type: ignore[no-untyped-call]
            loss()
        assert v.grad is not None
        if (slope := float(v.grad.abs().max())) > TOLERANCE:
            log.warning(
                "dap: no convergence in %d iterations of L-BFGS (gradient %.1g); raise classifier.iterations",
                self.settings.iterations,
                slope,
            )
        found = weights().detach()
        return found[:, :-1], found[:, -1]

    def scores(self, nets: Networks, features: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        """log p(c | x) without its constant."""
        net = nets["attributes"]
        has = (self.space.semantics.double() > net["threshold"])[:, net["learnt"]].double()
        logits = features.double() @ net["weight"].T + net["bias"]
        present, absent = torch.nn.functional.logsigmoid(logits), torch.nn.functional.logsigmoid(-logits)
        prior = net["prior"]
        return (present - prior.log()) @ has.T + (absent - (1 - prior).log()) @ (1 - has).T
