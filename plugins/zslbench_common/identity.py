"""The identity embedding: global features, scaled by what the training images say."""

from __future__ import annotations

import logging

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Embedding, Fit, Networks, TrainView
from zslbench_common.settings import IdentitySettings


class Identity(Embedding):
    """g = x, scaled as ``normalize`` says. The range of minmax is fitted on training images only."""

    settings: IdentitySettings

    def fit(self, view: TrainView) -> Fit:
        return self.ranges(view.features)

    def ranges(self, x: Float[Tensor, "n d"]) -> Networks:
        """Least value and spread of each dimension."""
        low, high = x.amin(dim=0), x.amax(dim=0)
        constant = high == low
        if self.settings.normalize == "minmax" and (count := int(constant.sum())):
            logging.getLogger("zslbench").warning(
                "identity: %d feature dimensions are constant over the training images; they become 0", count
            )
        spread = torch.where(constant, torch.ones_like(low), high - low)
        return {"identity": {"low": low, "spread": spread, "varies": (~constant).to(low.dtype)}}

    def embed(self, nets: Networks, inputs: Tensor) -> Float[Tensor, "n d"]:
        return self.scaled(nets, inputs)

    def scaled(self, nets: Networks, inputs: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """As ``normalize`` says."""
        net = nets["identity"]
        if self.settings.normalize == "minmax":
            return (inputs - net["low"]) / net["spread"] * net["varies"]
        if self.settings.normalize == "l2":
            return torch.nn.functional.normalize(inputs)
        return inputs
