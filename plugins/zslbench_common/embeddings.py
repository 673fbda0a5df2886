"""Embeddings without training: global features, or the mean of region features, scaled."""

from __future__ import annotations

import logging
from collections.abc import Generator as Coroutine, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Derived, Embedding, Fit, Networks, Program, TrainView
from zslbench.training import in_chunks
from zslbench_common.settings import IdentitySettings


def fit_range(x: Float[Tensor, "n d"], rounding: float = 0.0, shared: bool = False) -> dict[str, Tensor]:
    """Minimum and spread of each dimension.

    Args:
        rounding: a dimension is constant if its spread is at most this fraction of its largest value.
        shared: whether every dimension that varies gets the minimum and spread of all of them together.
    """
    low, high = x.amin(dim=0), x.amax(dim=0)
    constant = high - low <= rounding * torch.maximum(low.abs(), high.abs())
    if shared:
        low, high = torch.where(constant, low, low.min()), torch.where(constant, high, high.max())
    spread = torch.where(constant, torch.ones_like(low), high - low)
    return {"low": low, "spread": spread, "varies": (~constant).to(low.dtype)}


def fit_standard(x: Float[Tensor, "n d"]) -> dict[str, Tensor]:
    """Mean and standard deviation of each dimension, under the names of :func:`fit_range`."""
    spread, low = torch.std_mean(x, dim=0, correction=0)
    varies = x.amin(dim=0) < x.amax(dim=0)
    return {"low": low, "spread": torch.where(varies, spread, 1), "varies": varies.to(x.dtype)}


def to_range(net: Mapping[str, Tensor], x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Each dimension by a fitted range or standard deviation; nothing is clipped, a constant dimension is
    0."""
    return (x - net["low"]) / net["spread"] * net["varies"]


class Identity(Embedding):
    """g = x, scaled as ``normalize`` says. The range or spread is fitted on training images only."""

    settings: IdentitySettings

    def fit(self, view: TrainView) -> Fit:
        return self.ranges(view.features)

    def ranges(self, x: Float[Tensor, "n d"]) -> Networks:
        """The range or spread of the training images, with a warning about constant dimensions."""
        net = fit_standard(x) if self.settings.normalize == "standard" else fit_range(x)
        if self.settings.normalize in ("minmax", "standard") and (count := int((net["varies"] == 0).sum())):
            logging.getLogger("zslbench").warning(
                "identity: %d feature dimensions are constant over the training images; they become 0", count
            )
        return {"identity": net}

    def embed(self, nets: Networks, inputs: Tensor) -> Float[Tensor, "n d"]:
        if self.settings.normalize in ("minmax", "standard"):
            return to_range(nets["identity"], inputs)
        if self.settings.normalize == "l2":
            return torch.nn.functional.normalize(inputs)
        return inputs


class Pooled(Identity):
    """The mean over the regions, scaled like :class:`Identity`."""

    inputs = "regions"

    def fit(self, view: TrainView) -> Coroutine[Program | Derived, Networks, Networks]:
        regions = view.regions
        assert regions is not None

        def compute() -> Networks:
            device = view.labels.device
            return {"pooled": {"g": torch.cat([part.mean(dim=1) for part in in_chunks(regions, device)])}}

        # Reading all region features takes long, and their means are small: they are stored and found again.
        pooled = (yield Derived(compute, source={}, key={}, name="pooled"))["pooled"]["g"]
        return self.ranges(pooled)

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n dv"]:
        return super().embed(nets, inputs.mean(dim=1))
