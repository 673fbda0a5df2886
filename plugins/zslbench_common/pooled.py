"""Region features pooled by their mean: global features of the same map that others attend to."""

from __future__ import annotations

from collections.abc import Generator as Coroutine

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Derived, Fit, Networks, Program, TrainView
from zslbench.training import in_chunks
from zslbench_common.identity import Identity


class Pooled(Identity):
    """The mean over the regions, scaled like :class:`~zslbench_common.identity.Identity`."""

    inputs = "regions"

    def fit(self, view: TrainView) -> Fit:
        return self._fit(view)

    def _fit(self, view: TrainView) -> Coroutine[Program | Derived, Networks, Networks]:
        regions = view.regions
        assert regions is not None

        def compute() -> Networks:
            device = view.labels.device
            return {"pooled": {"g": torch.cat([part.mean(dim=1) for part in in_chunks(regions, device)])}}

        # Going through all region features takes long; what is made of it is small.
        pooled = (yield Derived(compute, source={}, key={}, name="pooled"))["pooled"]["g"]
        return self.ranges(pooled)

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n dv"]:
        return self.scaled(nets, inputs.mean(dim=1))
