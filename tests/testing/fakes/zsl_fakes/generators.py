"""Generators: a sound one, and ones that break one rule each."""

from __future__ import annotations

import warnings

import torch

from zslbench import ZslbenchError
from zslbench.plugin.interfaces import Generator
from zslbench.plugin.programs import Normal, Uniform


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


class SoundDraws(Sound):
    """Reparameterises what the classifier sees, for test images too, and inverts itself."""

    real_per_class = 4
    redraws = True
    draws_at_test = True

    @property
    def transform_noise(self):
        return {"code": Normal((12,)), "scale": Uniform(())}

    def transform(self, nets, g, noise):
        return torch.cat([g, g + noise["code"] * noise["scale"][:, None] if noise else g], dim=1)

    def encode(self, nets, g, semantics, noise):
        mean = 10 * (g - semantics @ nets["ridge"]["W"])
        return {"prior": mean + 0.1 * noise["prior"] if noise else mean}


class SoundCodes(Sound):
    """The classifier sees codes: of images, and of semantics for unseen classes."""

    samples = "inputs"

    def sample(self, nets, semantics, noise):
        return super().sample(nets, semantics, noise)[:, :3]

    def transform(self, nets, g, noise):
        return g[:, :3]


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
    """counts_per_class: per_class is 0"""

    per_class = 0


class HalfAnImage(Sound):
    """counts_per_class: real_per_class is 0.5"""

    real_per_class = 0.5


class SharedNoise(Sound):
    """sample_shape: noise 'prior' of sample or transform is shared between rows"""

    sample_noise = {"prior": Normal((12,), per_row=False)}  # noqa: RUF012


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
    """sample_uses_semantics_and_noise: depends on the other rows"""

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


class UndeclaredCode(SoundDraws):
    """transform_uses_noise: transform reads noise 'shift', which is not declared in transform_noise"""

    def transform(self, nets, g, noise):
        noise.get("shift")
        return super().transform(nets, g, noise)


class UnreadCode(SoundDraws):
    """transform_uses_noise: transform does not read noise 'scale'"""

    def transform(self, nets, g, noise):
        return g + noise["code"] if noise else g


class NothingToRedraw(Sound):
    """transform_uses_noise: redraws is True, but transform_noise declares nothing"""

    redraws = True


class MixesCodes(SoundDraws):
    """transform_uses_noise: transform's result for a row depends"""

    def transform(self, nets, g, noise):
        return g + noise["code"].mean(dim=0) * noise["scale"].mean() if noise else g


class NeedsCode(SoundDraws):
    """rows_independent: KeyError"""

    def transform(self, nets, g, noise):
        return g + noise["code"] * noise["scale"][:, None]


class WiderWithNoise(SoundDraws):
    """transform_widths: torch.float32 (24,) for synthetic ones"""

    def transform(self, nets, g, noise):
        return super().transform(nets, g, noise) if noise else g


class OtherCodes(SoundCodes):
    """transform_widths: torch.float32 (3,) for real features and torch.float32 (12,) for synthetic ones"""

    def sample(self, nets, semantics, noise):
        return Sound.sample(self, nets, semantics, noise)


class EncodesNothing(SoundDraws):
    """encodes_by_row: leaves out 'prior'"""

    def encode(self, nets, g, semantics, noise):
        return {"code": g}


class EncodesCentred(SoundDraws):
    """encodes_by_row: encode's result for a row depends"""

    def encode(self, nets, g, semantics, noise):
        return {"prior": g - g.mean(dim=0)}


class EncodesAtRandom(SoundDraws):
    """encodes_by_row: encode returns other values when called again"""

    def encode(self, nets, g, semantics, noise):
        return {"prior": g + torch.randn(12)}


class Warns(Sound):
    """leaves_process_alone: fit leaves the filters of warnings"""

    def fit(self, view):
        warnings.simplefilter("error")
        return super().fit(view)
