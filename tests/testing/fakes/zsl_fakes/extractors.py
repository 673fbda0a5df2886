"""Extractors: a sound one, and ones that break one rule each."""

from __future__ import annotations

import torch

from zslbench.plugin.interfaces import FeatureExtractor


class Sound(FeatureExtractor):
    """Means of a 2 x 2 grid, mapped by fixed weights."""

    image_size = 8

    def extract(self, images):
        pooled = torch.nn.functional.adaptive_avg_pool2d(images - 0.5, 2).flatten(2).mT
        return pooled @ torch.linspace(-1, 1, 15).reshape(3, 5)


class NoSize(Sound):
    """extracts_regions: image_size is None"""

    image_size = None


class GlobalFeatures(Sound):
    """extracts_regions: returns shape (3, 5), not (3, regions, dv)"""

    def extract(self, images):
        return super().extract(images).mean(dim=1)


class LosesImages(Sound):
    """extracts_regions: shape (1, 4, 5), not (3, regions, dv)"""

    def extract(self, images):
        return super().extract(images)[:1]


class Roots(Sound):
    """extracts_regions: NaN"""

    def extract(self, images):
        return super().extract(images).sqrt()


class StillTrains(Sound):
    """extracts_regions: features require gradients"""

    def extract(self, images):
        return super().extract(images).requires_grad_()


class NormalisesInPlace(Sound):
    """extracts_regions: extract changes images in place"""

    def extract(self, images):
        return super().extract(images.sub_(0.5))


class RandomWeights(Sound):
    """extraction_repeats: load frozen weights"""

    def extract(self, images):
        return super().extract(images) @ torch.randn(5, 5)


class BatchNorm(Sound):
    """images_independent: eval mode"""

    def extract(self, images):
        return super().extract(images) - super().extract(images).mean(dim=0)


class Flushes(Sound):
    """leaves_process_alone: extract leaves torch's treatment of denormal numbers"""

    def extract(self, images):
        torch.set_flush_denormal(True)
        return super().extract(images)
