"""CADA-VAE (Schönfeld et al., CVPR 2019). Equation numbers are the paper's.

===== ===================================================================== ================================
(2)   L_VAE = Σ over x and a of −E[log p(·|z)] + β KL(q(z|·) ‖ N(0, I))     :func:`.reconstruction`,
                                                                            :func:`.kl_to_standard`
(3)   L_CA = ‖x − D_x(E_a(a))‖₁ + ‖a − D_a(E_x(x))‖₁                        :func:`.reconstruction`
(5)   W = (‖μ_x − μ_a‖² + ‖Σ_x^½ − Σ_a^½‖²)^½                               :func:`.wasserstein`
(6)   L_DA = Σ W                                                            :meth:`CADAVAE.losses`
(7)   L_CADA-VAE = L_VAE + γ L_CA + δ L_DA                                  :meth:`CADAVAE.losses`
===== ===================================================================== ================================

x are features, a class semantics, E and D encoders and decoders. −log p(·|z) is an L1 norm, and the losses
are sums over the batch. β, γ and δ grow over the first epochs.
"""

from __future__ import annotations

from functools import partial

from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import Batch, Losses, Networks, Noise, Program, Step, Streams, TrainView
from zslbench_cada_vae.aligned import AlignedVAE, Gaussian, reconstruction
from zslbench_cada_vae.networks import decode, encode, initial_layers
from zslbench_cada_vae.settings import CADAVAESettings
from zslbench_common.gaussians import kl_to_standard, wasserstein


class CADAVAE(AlignedVAE):
    """E_x, D_x of features x (b, d) and E_a, D_a of semantics a (b, A), all trained in one step."""

    settings: CADAVAESettings

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """Eq. (7)."""
        x, a = batch.features, batch.semantics
        of_x, of_a = self.encode_visual(nets, x), self.encode_semantic(nets, a)
        z_x, z_a = self.draw(of_x, noise["visual"]), self.draw(of_a, noise["semantic"])
        decoders = partial(decode, nets["visual_decoder"]), partial(decode, nets["semantic_decoder"])
        terms = {
            "reconstruction": reconstruction(*decoders, x, a, of_x=z_x, of_a=z_a),
            "kl": kl_to_standard(*of_x) + kl_to_standard(*of_a),
            "cross": reconstruction(*decoders, x, a, of_x=z_a, of_a=z_x),
            "distance": wasserstein(*of_x, *of_a).sum(),
        }
        if self.settings.both_orders:
            terms["distance"] = 2 * terms["distance"]
        weights = self.weights(batch)
        total = (
            terms["reconstruction"]
            + weights.beta * terms["kl"]
            + weights.gamma * terms["cross"]
            + weights.delta * terms["distance"]
        )
        return Losses(total, terms)

    def encode_visual(self, nets: Networks, x: Float[Tensor, "b d"]) -> Gaussian:
        """E_x(x)."""
        return encode(nets["visual_encoder"], x)

    def encode_semantic(self, nets: Networks, a: Float[Tensor, "b attributes"]) -> Gaussian:
        """E_a(a)."""
        return encode(nets["semantic_encoder"], a)

    # --- what is trained, and how ----------------------------------------------------------------------

    def fit(self, view: TrainView) -> Program:
        s = self.settings
        names = ("visual_encoder", "semantic_encoder", "visual_decoder", "semantic_decoder")
        noise = {"visual": self.noise, "semantic": self.noise}
        return Program(
            initial=partial(self.initial, d=view.features.shape[1]),
            passes=((Step("vae", self.losses, updates=names, noise=noise),),),
            optimizers=dict.fromkeys(names, self.adam),
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
        )

    def initial(self, streams: Streams, d: int) -> Networks:
        """Untrained networks."""
        s = self.settings
        layers = []
        for kind, width, (encoder, decoder) in (
            ("visual", d, s.visual_hidden),
            ("semantic", self.space.semantics.shape[1], s.semantic_hidden),
        ):
            layers += [
                (f"{kind}_encoder", "hidden", width, encoder),
                (f"{kind}_encoder", "mean", encoder, s.latent),
                (f"{kind}_encoder", "logvar", encoder, s.latent),
                (f"{kind}_decoder", "hidden", s.latent, decoder),
                (f"{kind}_decoder", "out", decoder, width),
            ]
        return initial_layers(streams, *layers)
