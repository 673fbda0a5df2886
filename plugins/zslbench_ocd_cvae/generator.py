"""OCD-CVAE (Keshari et al., CVPR 2020). Unverified: no reference code, and its equations are ours.

What is known of the method: a conditional VAE p(z | x), p(x̂ | z, a) with a regressor p(â | x̂) (its figure 2);
an over-complete distribution of every class, with hard samples between classes; an online batch triplet loss
and a centre loss on the attributes regressed from them (its abstract). Read here as

====== ======================================================== ==============================================
L_CVAE E‖x − x̂‖² + KL(p(z | x) ‖ N(0, I))                       :func:`.losses.cvae_loss`
L_R    E‖R(x) − a‖² + E‖R(x̃) − a(c)‖², x̃ = p(x̂ | s·ε, a(c)),   :func:`.losses.regression_loss`
       c a random class
OCD    x̃ + t (x̃′ − x̃), x̃′ of another draw, t ~ U(0, τ)          :func:`.losses.over_complete`
OBTL   triplets of regressed attributes: the batch's hardest    :func:`.losses.online_batch_triplet_loss`
       positive and negative of each row
CL     ½ E‖f − c_y‖², trained centres c_y                       :func:`.losses.centre_loss`
total  L_CVAE + λ_R L_R + λ_T OBTL + λ_C CL                      :meth:`.OCDCVAE.losses`
====== ======================================================== ==============================================

OBTL and CL see f = R of over-complete samples, two of each drawn class, and of the real images. s > 1 widens
the distribution, the shift moves its mass towards other classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import (
    Batch,
    Choice,
    Generator,
    Losses,
    Networks,
    Noise,
    NoiseSpec,
    Normal,
    Optimizer,
    Permutation,
    Program,
    Step,
    Streams,
    TrainView,
    Uniform,
)
from zslbench.training import pick_rows
from zslbench_common.gaussians import reparameterise
from zslbench_common.wgan import refuse_negative
from zslbench_ocd_cvae import networks
from zslbench_ocd_cvae.losses import (
    centre_loss,
    cvae_loss,
    online_batch_triplet_loss,
    over_complete,
    regression_loss,
)
from zslbench_ocd_cvae.networks import decode, encode, regress
from zslbench_ocd_cvae.settings import OCDCVAESettings


class OCDCVAE(Generator):
    """Features x ≥ 0 (b, d) from class semantics a (b, A): encoder, decoder, regressor and class centres."""

    settings: OCDCVAESettings

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """L_CVAE + λ_R L_R + λ_T OBTL + λ_C CL."""
        s = self.settings
        x, a = batch.features, batch.semantics
        mean, logvar = encode(nets["encoder"], x)
        z = reparameterise(mean, logvar, noise["reparameterisation"])
        cvae = cvae_loss(x, decode(nets["decoder"], z, a), mean, logvar)

        labels = noise["class"].repeat_interleave(2)
        drawn_a = self.space.semantics.to(x.dtype)[labels]
        drawn = decode(nets["decoder"], s.spread * noise["pair"].reshape(len(labels), -1), drawn_a)
        other = pick_rows(drawn.reshape(len(x), -1), noise["partner"]).reshape(drawn.shape)
        hard = over_complete(drawn, other, s.max_shift * noise["shift"].reshape(-1, 1))

        of_real = regress(nets["regressor"], x)
        regression = regression_loss(of_real, a) + regression_loss(regress(nets["regressor"], drawn), drawn_a)
        f = torch.cat([regress(nets["regressor"], hard), of_real])
        y = torch.cat([labels, batch.labels])
        triplet = online_batch_triplet_loss(f, y, s.margin)
        centre = centre_loss(f, pick_rows(nets["centres"]["values"], y))
        total = cvae + s.lambda_r * regression + s.lambda_t * triplet + s.lambda_c * centre
        return Losses(total, {"cvae": cvae, "regression": regression, "triplet": triplet, "centre": centre})

    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n d"]:
        """The mean of p(x̂ | z, a) with z ~ N(0, I)."""
        return decode(nets["decoder"], noise["prior"], semantics)

    # --- what is trained, and how ----------------------------------------------------------------------

    @property
    def latent(self) -> int:
        """Size of z."""
        return self.settings.latent or self.space.semantics.shape[1]

    @property
    def per_class(self) -> int:
        return self.settings.per_class

    @property
    def sample_noise(self) -> Mapping[str, NoiseSpec]:
        return {"prior": Normal((self.latent,))}

    def fit(self, view: TrainView) -> Program:
        """One step for all networks.

        Raises:
            ZslbenchError: a feature is below 0.
        """
        s = self.settings
        refuse_negative("ocd-cvae", view.features)
        drawn = self.space.seen if s.classes == "seen" else torch.arange(len(self.space.names))
        step = Step(
            "cvae",
            self.losses,
            updates=("encoder", "decoder", "regressor", "centres"),
            noise={
                "reparameterisation": Normal((self.latent,)),
                "class": Choice(drawn.to(view.labels.device)),
                "pair": Normal((2, self.latent)),
                "partner": Permutation(),
                "shift": Uniform((2, 1)),
            },
        )
        return Program(
            initial=partial(self.initial, d=view.features.shape[1]),
            passes=((step,),),
            optimizers={name: Optimizer("adam", lr=s.lr) for name in step.updates},
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            sampler="shuffled",
        )

    def initial(self, streams: Streams, d: int) -> Networks:
        """Untrained networks; the centres start at the class semantics."""
        a = self.space.semantics
        nets = networks.initial(streams, d, a.shape[1], self.settings.hidden, self.latent)
        return nets | {"centres": {"values": a.clone()}}
