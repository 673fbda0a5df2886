"""The final classifier of the feature-generating methods (Xian et al., CVPR 2018)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import (
    Batch,
    Classifier,
    Fit,
    Losses,
    Networks,
    Noise,
    Optimizer,
    Program,
    Step,
    Streams,
    TrainView,
)
from zslbench.training import initial_linear, linear, nll_loss
from zslbench_common.settings import SoftmaxSettings


class Softmax(Classifier):
    """Linear layer and log-softmax; weights start from N(0, 0.02²), Adam."""

    needs_examples = True
    settings: SoftmaxSettings

    def fit(self, view: TrainView) -> Fit:
        s = self.settings
        width, classes = view.features.shape[1], len(self.space.names)

        def initial(streams: Streams) -> Networks:
            return {"softmax": initial_linear(streams, "softmax", "out", width, classes)}

        return Program(
            initial=initial,
            passes=((Step("softmax", self.losses, updates=("softmax",)),),),
            optimizers={"softmax": Optimizer("adam", lr=s.lr, betas=(s.beta1, 0.999))},
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            sampler="shuffled",
        )

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """Mean negative log-likelihood of the true class."""
        log_p = torch.log_softmax(linear(nets["softmax"], "out", batch.features), dim=1)
        return Losses(nll_loss(log_p, batch.labels), log={})

    def scores(self, nets: Networks, features: Float[Tensor, "n e"]) -> Float[Tensor, "n classes"]:
        """Log-probabilities."""
        return torch.log_softmax(linear(nets["softmax"], "out", features), dim=1)
