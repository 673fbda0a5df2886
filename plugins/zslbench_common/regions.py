"""The shape of region features that are read by row."""

from __future__ import annotations

import torch

from zslbench.plugin import TrainView


def region_shape(view: TrainView) -> tuple[int, int]:
    """Regions per image, and channels of a region; ``view.regions`` must not be None."""
    assert view.regions is not None
    first = view.regions[torch.zeros(1, dtype=torch.int64, device=view.labels.device)]
    return first.shape[1], first.shape[2]
