"""Generators: a sound one, and ones that break one rule each."""

from __future__ import annotations

import warnings

import torch

from zslbench import ZslbenchError
from zslbench.plugin.interfaces import Generator, Normal


class Sound(Generator):
    """Ridge regression from semantics to features, plus noise; the classifier sees [g, g²]."""

    per_class = 5

    @property
    def sample_noise(self):
        return {"prior": Normal((12,))}

    def fit(self, view):
        a = self.space.semantics[view.labels]
        return {"ridge": {"W": torch.linalg.solve(a.T @ a + torch.eye(a.shape[1]), a.T @ view.features)}}

    def sample(self, nets, semantics, noise):
        return semantics @ nets["ridge"]["W"] + 0.1 * noise["prior"]

    def transform(self, nets, g, noise):
        return torch.cat([g, g**2], dim=1)


class SoundAndStrict(Sound):
    """Says that it needs a guide."""

    def fit(self, view):
        if view.guide is None:
            raise ZslbenchError("generator soundandstrict needs a guide: take an embedding that offers one")
        return super().fit(view)


class TakesGuideForGranted(Sound):
    """guide_is_optional: fit without a guide raises AttributeError"""

    def fit(self, view):
        return {**super().fit(view), **view.guide.networks}


class ChangesGuide(Sound):
    """view_unchanged: view/guide/tiny_guide/out.weight in place"""

    def fit(self, view):
        if view.guide:
            view.guide.networks["tiny_guide"]["out.weight"].zero_()
        return super().fit(view)


class NoneEach(Sound):
    """sample_shape: per_class is 0"""

    per_class = 0


class TooWide(Sound):
    """sample_shape: shape (10, 24), not (10, 12)"""

    def sample(self, nets, semantics, noise):
        return super().sample(nets, semantics, noise).repeat(1, 2)


class UndeclaredPrior(Sound):
    """sample_uses_semantics_and_noise: sample reads noise 'prior'"""

    sample_noise = {}  # noqa: RUF012


class UndeclaredMaybe(Sound):
    """sample_uses_semantics_and_noise: sample reads noise 'shift'"""

    def sample(self, nets, semantics, noise):
        noise.get("shift")
        return super().sample(nets, semantics, noise)


class UnreadPrior(Sound):
    """sample_uses_semantics_and_noise: sample does not read noise 'prior'"""

    def sample(self, nets, semantics, noise):
        return semantics @ nets["ridge"]["W"]


class OwnNoise(Sound):
    """sample_uses_semantics_and_noise: other values when called again"""

    def sample(self, nets, semantics, noise):
        return super().sample(nets, semantics, noise) + torch.randn(12)


class NoiseInPlace(Sound):
    """sample_uses_semantics_and_noise: sample changes noise/prior in place"""

    def sample(self, nets, semantics, noise):
        return noise["prior"].mul_(0.1) + semantics @ nets["ridge"]["W"]


class BatchStatistics(Sound):
    """sample_uses_semantics_and_noise: rows with fewer others"""

    def sample(self, nets, semantics, noise):
        found = super().sample(nets, semantics, noise)
        return found / found.std(dim=0)


class IgnoresSemantics(Sound):
    """sample_uses_semantics_and_noise: the same features for other semantics"""

    def sample(self, nets, semantics, noise):
        return noise["prior"]


class OtherType(Sound):
    """transform_widths: torch.float32 (24,) for real features and torch.float64 (24,) for synthetic ones"""

    def sample(self, nets, semantics, noise):
        return super().sample(nets, semantics, noise).double()


class TransformCentres(Sound):
    """rows_independent: transform returns other values for rows"""

    def transform(self, nets, g, noise):
        return g - g.mean(dim=0)


class Warns(Sound):
    """leaves_process_alone: fit leaves the filters of warnings"""

    def fit(self, view):
        warnings.simplefilter("error")
        return super().fit(view)
