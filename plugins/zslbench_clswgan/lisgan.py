"""LisGAN (Li et al., CVPR 2019): f-CLSWGAN regularised by soul samples. Terms are cited by name.

==== ============================================================= ==========================
s    soul samples s₁ … s_K of a seen class: the means of K         :func:`soul_samples`
     clusters of its real features
L_R1 E min_k ‖x̃ − s_k‖², x̃ = G(z, a), of x̃'s class               :func:`sample_loss`
L_R2 mean over seen classes of min_k ‖s̃ − s_k‖², s̃ the mean of     :func:`mean_loss`
     m synthetic features of the class
L_G  −E[D(x̃, a)] + β L_CLS + λ₁ L_R1 + λ₂ L_R2                     :meth:`.losses_on_fake`
==== ============================================================= ==========================

The code calls L_R1 ``loss2`` (weight ``proto_param2``) and L_R2 ``loss1`` (``proto_param1``).
"""

from __future__ import annotations

from collections.abc import Generator as Coroutine, Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.plugin import Batch, Derived, Networks, Noise, NoiseSpec, Normal, Program, TrainView
from zslbench_clswgan.generator import CLSWGAN
from zslbench_clswgan.settings import LisGANSettings
from zslbench_common.wgan import generate


def soul_samples(
    x: Float[Tensor, "n d"], labels: Int[Tensor, " n"], classes: int, clusters: int
) -> Float[Tensor, "classes clusters d"]:
    """The means of each class's clusters by k-means, in any order; 0 for a class without features.

    The state of k-means is the code's, 3. A class with fewer different features than clusters has as many
    soul samples, which are repeated.
    """
    from sklearn.cluster import KMeans  # slow to import

    souls = torch.zeros(classes, clusters, x.shape[1], dtype=x.dtype)
    for label in np.unique(labels.cpu().numpy()):
        own = x[labels == label].cpu().numpy()
        count = min(clusters, len(np.unique(own, axis=0)))
        of = KMeans(count, n_init=10, random_state=3).fit_predict(own)
        means = np.stack([own[of == one].mean(axis=0) for one in range(count)])
        souls[label] = torch.from_numpy(means[np.arange(clusters) % count])
    return souls.to(x.device)


def to_nearest(x: Float[Tensor, "n d"], souls: Float[Tensor, "n clusters d"]) -> Float[Tensor, " n"]:
    """min_k ‖x − s_k‖² of each row."""
    return ((x[:, None] - souls) ** 2).sum(dim=2).amin(dim=1)


def sample_loss(
    fake: Float[Tensor, "b d"], labels: Int[Tensor, " b"], souls: Float[Tensor, "classes clusters d"]
) -> Float[Tensor, ""]:
    """L_R1: how far synthetic features are from the nearest soul sample of their class."""
    return to_nearest(fake, souls[labels]).mean()


def mean_loss(fakes: Float[Tensor, "seen m d"], souls: Float[Tensor, "seen clusters d"]) -> Float[Tensor, ""]:
    """L_R2: how far the means of each class's synthetic features are from its nearest soul sample."""
    return to_nearest(fakes.mean(dim=1), souls).mean()


class LisGAN(CLSWGAN):
    """f-CLSWGAN whose synthetic features, and their means, stay near real ones."""

    settings: LisGANSettings
    name = "lisgan"

    def losses_on_fake(
        self, nets: Networks, batch: Batch, noise: Noise, fake: Float[Tensor, "b d"]
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """β L_CLS, λ₁ L_R1 and λ₂ L_R2."""
        s, losses = self.settings, super().losses_on_fake(nets, batch, noise, fake)
        souls = nets["souls"]["centres"]
        if s.lambda_sample:
            loss = sample_loss(fake, batch.labels, souls)
            losses["soul_of_sample"] = s.lambda_sample * loss, loss
        if s.lambda_mean:
            seen, z = self.space.seen, noise["class_prior"]
            a = self.space.semantics[seen].to(z.dtype).repeat_interleave(s.class_fakes, dim=0)
            fakes = generate(nets["generator"], z.reshape(-1, self.latent), a)
            fakes = fakes.reshape(len(seen), s.class_fakes, -1)
            loss = mean_loss(fakes, souls[seen])
            losses["soul_of_mean"] = s.lambda_mean * loss, loss
        return losses

    def noise_on_fake(self) -> Mapping[str, NoiseSpec]:
        shape = (len(self.space.seen), self.settings.class_fakes, self.latent)
        return {"class_prior": Normal(shape, per_row=False)} if self.settings.lambda_mean else {}

    def prepared(self, view: TrainView) -> Coroutine[Program | Derived, Networks, Networks]:
        """The classifier and the soul samples."""
        classes, clusters = len(self.space.names), self.settings.clusters

        def compute() -> Networks:
            return {"souls": {"centres": soul_samples(view.features, view.labels, classes, clusters)}}

        frozen = yield from super().prepared(view)
        souls = yield Derived(
            compute, source={}, key={"classes": classes, "clusters": clusters}, name="souls"
        )
        return frozen | souls
