"""TF-VAEGAN as a generator: which networks, which steps, how features are synthesised and transformed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench import ZslbenchError
from zslbench.plugin.interfaces import (
    Fit,
    Generator,
    Networks,
    Noise,
    NoiseSpec,
    Normal,
    Optimizer,
    Program,
    Step,
    Streams,
    TrainView,
    Uniform,
)
from zslbench_tf_vaegan import networks
from zslbench_tf_vaegan.losses import critic_losses, generator_losses, synthesise
from zslbench_tf_vaegan.settings import TFVAEGANSettings


class TFVAEGAN(Generator):
    """Eqs. (9)-(12) with the feedback module; features must lie in [0, 1] (binary cross-entropy)."""

    settings: TFVAEGANSettings
    name: ClassVar[str] = "tf-vaegan"
    """What users type; for messages."""

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

    def fit(self, view: TrainView) -> Fit:
        low, high = float(view.features.min()), float(view.features.max())
        if low < 0 or high > 1:
            raise ZslbenchError(
                f"generator {self.name}: training features lie in [{low:.3g}, {high:.3g}], but it "
                "reconstructs values in [0, 1]; use an embedding that scales to it, as "
                "--set embedding.normalize=minmax"
            )
        s = self.settings
        plain = self.steps(feedback=False)
        later = self.steps(feedback=True) if s.feedback else plain
        scalar = partial(torch.full, (), device=view.labels.device)
        return Program(
            initial=partial(self.initial, d=view.features.shape[1]),
            passes=(plain,) + (later,) * (s.feedback_loops - 1),
            optimizers=self.optimizers(),
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            state={"penalty_weight": scalar(s.lambda_gp), "penalty_sum": scalar(0.0)},
        )

    def initial(self, streams: Streams, d: int) -> Networks:
        """Untrained networks."""
        s = self.settings
        nets = networks.initial(streams, d, self.space.semantics.shape[1], s.hidden, self.latent)
        if not s.decoder:
            del nets["decoder"]
        if not s.feedback:
            del nets["feedback"]
        return nets

    def steps(self, *, feedback: bool) -> tuple[Step, ...]:
        """Critic steps on fresh batches, then a generator step on the last of them."""
        s = self.settings
        code = {"reparameterisation": Normal((self.latent,))}
        prior = {} if s.encoded_noise else {"prior": Normal((self.latent,))}
        critic = Step(
            "critic",
            partial(critic_losses, s=s, feedback=feedback),
            updates=("critic", "decoder") if s.decoder else ("critic",),
            noise={**(code if s.encoded_noise else prior), "mix": Uniform((1,))},
        )
        trained = ["encoder", "generator"]
        if s.decoder and not s.freeze_decoder:
            trained.append("decoder")
        if feedback:
            trained.append("feedback")
        generator = Step(
            "generator",
            partial(generator_losses, s=s, feedback=feedback),
            updates=tuple(trained),
            noise={**code, **prior},
            fresh_batch=False,
        )
        return (critic,) * s.critic_steps + (generator,)

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Adam for every network that there is."""
        s = self.settings
        rules = {
            "encoder": Optimizer("adam", lr=s.lr),
            "generator": Optimizer("adam", lr=s.lr, betas=(s.beta1, 0.999)),
            "critic": Optimizer("adam", lr=s.lr, betas=(s.beta1, 0.999)),
        }
        if s.decoder:
            rules["decoder"] = Optimizer("adam", lr=s.decoder_lr, betas=(s.beta1, 0.999))
        if s.feedback:
            rules["feedback"] = Optimizer("adam", lr=s.feedback_lr, betas=(s.beta1, 0.999))
        return rules

    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n d"]:
        """G(ε, a) with one feedback pass of strength a2."""
        return synthesise(
            nets, noise["prior"], semantics, self.settings.a2 if self.settings.feedback else None
        )

    def transform(self, nets: Networks, g: Float[Tensor, "n d"]) -> Float[Tensor, "n e"]:
        """[g, Dec(g), hidden(Dec(g))], in this order."""
        if not self.settings.transform:
            return g
        decoded, hidden = networks.decode(nets["decoder"], g)
        return torch.cat([g, decoded, hidden], dim=1)
