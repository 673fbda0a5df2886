"""What CADA-VAE shares with methods that build on it: two aligned VAEs, and a classifier of their latents.

Features x and the semantics a of their class are encoded as Gaussians q(z|x) and q(z|a) in one latent space.
The classifier learns z ~ q(z|x) of seen classes' images and z ~ q(z|a) of unseen classes; of a test image it
sees the mean of q(z|x).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Batch, Generator, Networks, Noise, NoiseSpec, Normal, Optimizer
from zslbench.training import warm_up
from zslbench_cada_vae.settings import AlignedSettings
from zslbench_common.gaussians import reparameterise


class Gaussian(NamedTuple):
    """q(z|x) or q(z|a) of each row."""

    mean: Float[Tensor, "b z"]
    logvar: Float[Tensor, "b z"]


class Weights(NamedTuple):
    """The weights of an epoch."""

    beta: Float[Tensor, ""]
    gamma: Float[Tensor, ""]
    delta: Float[Tensor, ""]


def l1(x: Float[Tensor, "b d"], target: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Σ |x − target| over rows and dimensions."""
    return (x - target).abs().sum()


def reconstruction(
    decode_visual: Callable[[Tensor], Tensor],
    decode_semantic: Callable[[Tensor], Tensor],
    x: Float[Tensor, "b d"],
    a: Float[Tensor, "b attributes"],
    of_x: Float[Tensor, "b z"],
    of_a: Float[Tensor, "b z"],
) -> Float[Tensor, ""]:
    """‖D_x(of_x) − x‖₁ + ‖D_a(of_a) − a‖₁: with the latents of x and a the reconstruction within each
    modality, with the two exchanged the one across modalities."""
    return l1(decode_visual(of_x), x) + l1(decode_semantic(of_a), a)


class AlignedVAE(Generator):
    """Latents z (n, latent) of features x (n, d) and of class semantics a (n, A)."""

    samples = "inputs"
    settings: AlignedSettings

    @abstractmethod
    def encode_visual(self, nets: Networks, x: Float[Tensor, "b d"]) -> Gaussian:
        """q(z|x)."""

    @abstractmethod
    def encode_semantic(self, nets: Networks, a: Float[Tensor, "b attributes"]) -> Gaussian:
        """q(z|a)."""

    def draw(self, gaussian: Gaussian, noise: Tensor) -> Float[Tensor, "b z"]:
        """z, from the Gaussian's mean and log-variance."""
        return reparameterise(*gaussian, noise, self.settings.sigma_exponent)

    def weights(self, batch: Batch) -> Weights:
        """β, γ and δ, which grow with the completed epochs."""
        s, epoch = self.settings, batch.progress.epoch
        return Weights(
            warm_up(epoch, *s.beta_epochs, s.beta),
            warm_up(epoch, *s.gamma_epochs, s.gamma),
            warm_up(epoch, *s.delta_epochs, s.delta),
        )

    @property
    def noise(self) -> NoiseSpec:
        """ε of one latent per example."""
        return Normal((1,) if self.settings.shared_noise else (self.settings.latent,))

    @property
    def adam(self) -> Optimizer:
        """The optimiser of encoders and decoders."""
        return Optimizer("adam", lr=self.settings.lr, amsgrad=True)

    # --- what the classifier sees ----------------------------------------------------------------------

    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n z"]:
        """z ~ q(z|a)."""
        return self.draw(self.encode_semantic(nets, semantics), noise["semantic"])

    def transform(self, nets: Networks, g: Float[Tensor, "n d"], noise: Noise) -> Float[Tensor, "n z"]:
        """z ~ q(z|x) of training images; the mean of q(z|x) without noise, so of test images."""
        gaussian = self.encode_visual(nets, g)
        return self.draw(gaussian, noise["visual"]) if noise else gaussian.mean

    @property
    def sample_noise(self) -> Mapping[str, NoiseSpec]:
        return {"semantic": self.noise}

    @property
    def transform_noise(self) -> Mapping[str, NoiseSpec]:
        return {"visual": self.noise}

    @property
    def per_class(self) -> int:
        return self.settings.per_class

    @property
    def czsl_per_class(self) -> int:
        return self.settings.czsl_per_class

    @property
    def real_per_class(self) -> int:
        return self.settings.real_per_class
