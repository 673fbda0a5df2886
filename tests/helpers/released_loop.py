"""The training loops of the released codes of TF-VAEGAN and of SC-EGG's stage 3 in plain torch.

Written from their description: torch's own layers, losses, automatic differentiation and optimisers, one
sub-step after the other. Random draws are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor
from torch.nn import functional as F

Draws = Mapping[str, Tensor]


@dataclass(frozen=True)
class Iteration:
    """Features, labels and noise of each sub-step of the critic, and of the generator's."""

    critic: Sequence[tuple[Tensor, Tensor, Draws]]
    generator: tuple[Tensor, Tensor, Draws]


class ReleasedLoop:
    """The loop over given networks, in their precision.

    Args:
        nets: initial weights, (out, in), and biases by network and layer.
        attributes: class semantics as stored, (classes, attributes); the codes scale them to unit length.
        options: the settings by the names that the toolkit gives them.
        guide: class scores of SC-EGG's frozen classifier; None: plain TF-VAEGAN.
    """

    def __init__(
        self,
        nets: Mapping[str, Mapping[str, Tensor]],
        attributes: Tensor,
        options: SimpleNamespace,
        guide: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.o, self.guide = options, guide
        self.a = attributes / attributes.pow(2).sum(1).sqrt()[:, None]
        self.nets = {
            net: {name: tensor.clone().requires_grad_() for name, tensor in tensors.items()}
            for net, tensors in nets.items()
        }
        rates = {"decoder": self.o.decoder_lr, "feedback": self.o.feedback_lr}
        self.adam = {
            net: torch.optim.Adam(
                tensors.values(),
                lr=rates.get(net, self.o.lr),
                betas=(0.9 if net == "encoder" else self.o.beta1, 0.999),
            )
            for net, tensors in self.nets.items()
        }
        self.penalty_weight = self.o.lambda_gp

    # --- networks ------------------------------------------------------------------------------------

    def layer(self, net: str, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.nets[net][f"{name}.weight"], self.nets[net][f"{name}.bias"])

    def hidden(self, net: str, name: str, x: Tensor) -> Tensor:
        return F.leaky_relu(self.layer(net, name, x), 0.2)

    def encoder(self, g: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        x = self.hidden("encoder", "middle", self.hidden("encoder", "hidden", torch.cat((g, a), -1)))
        return self.layer("encoder", "mean", x), self.layer("encoder", "logvar", x)

    def generator(self, z: Tensor, a: Tensor, fed_back: Tensor | None = None) -> Tensor:
        x1 = self.hidden("generator", "hidden", torch.cat((z, a), -1))
        return torch.sigmoid(self.layer("generator", "out", x1 if fed_back is None else x1 + fed_back))

    def critic(self, g: Tensor, a: Tensor) -> Tensor:
        return self.layer("critic", "out", self.hidden("critic", "hidden", torch.cat((g, a), 1)))

    def decoder(self, g: Tensor) -> Tensor:
        out = self.layer("decoder", "out", self.hidden("decoder", "hidden", g))
        return out / out.pow(2).sum(1).sqrt()[:, None]

    def feedback(self, g: Tensor) -> Tensor:
        """a1 F(h); h is detached."""
        h = self.hidden("decoder", "hidden", g).detach()
        return self.o.a1 * self.hidden("feedback", "second", self.hidden("feedback", "first", h))

    # --- sub-steps -----------------------------------------------------------------------------------

    def train(self, passes: Sequence[Sequence[Iteration]]) -> None:
        """One epoch: pass 1, counted from 0, has feedback."""
        for loop, iterations in enumerate(passes):
            for one in iterations:
                self.iteration(one, fed_back=self.o.feedback and loop == 1)

    def iteration(self, one: Iteration, fed_back: bool) -> None:
        o = self.o
        penalties = [float(self.critic_step(*draws, fed_back)) for draws in one.critic]
        if o.adaptive_penalty:
            mean = sum(penalties) / len(penalties)
            if mean > 1.05:
                self.penalty_weight *= 1.1
            elif mean < 1.001:
                self.penalty_weight /= 1.1
        self.generator_step(*one.generator, fed_back)

    def critic_step(self, g: Tensor, labels: Tensor, draws: Draws, fed_back: bool) -> Tensor:
        """Update the decoder on real features, then the critic; returns the penalty."""
        o, a = self.o, self.a[labels]
        self.zero("decoder")
        (o.lambda_r * self.reconstruction(g, a)).backward()
        self.adam["decoder"].step()
        self.zero("critic")
        (-o.lambda_w * self.critic(g, a).mean()).backward()
        if o.encoded_noise:
            mean, logvar = self.encoder(g, a)
            z = draws["reparameterisation"] * torch.exp(0.5 * logvar) + mean
        else:
            z = draws["prior"]
        fake = self.generator(z, a)
        if fed_back:
            fake = self.generator(z, a, self.feedback(fake))
        fake = fake.detach()
        (o.lambda_w * self.critic(fake, a).mean()).backward()
        between = (draws["mix"] * g + (1 - draws["mix"]) * fake).requires_grad_()
        scores = self.critic(between, a)
        (slope,) = torch.autograd.grad(scores, between, torch.ones_like(scores), create_graph=True)
        penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
        (o.lambda_w * self.penalty_weight * penalty).backward()
        self.adam["critic"].step()
        return penalty.detach()

    def generator_step(self, g: Tensor, labels: Tensor, draws: Draws, fed_back: bool) -> None:
        """Update encoder, generator, the feedback module and, unless it is frozen, the decoder."""
        o, a = self.o, self.a[labels]
        self.zero("encoder", "generator", "feedback", "decoder")
        mean, logvar = self.encoder(g, a)
        z = draws["reparameterisation"] * torch.exp(0.5 * logvar) + mean
        recon = self.generator(z, a)
        if fed_back:
            recon = self.generator(z, a, self.feedback(recon))
        loss = F.binary_cross_entropy(recon + 1e-12, g, reduction="sum") / len(g)
        loss = loss - 0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp()) / len(g)
        fake = recon
        if not o.encoded_noise:
            fake = self.generator(draws["prior"], a, self.feedback(recon) if fed_back else None)
        loss = loss - o.lambda_w * self.critic(fake, a).mean()
        loss = loss + o.lambda_r * self.reconstruction(fake, a)
        if self.guide is not None:
            loss = loss + self.guidance(recon, a, labels, draws)
        loss.backward()
        self.adam["encoder"].step()
        self.adam["generator"].step()
        if fed_back:
            self.adam["feedback"].step()
        if o.lambda_r > 0 and not o.freeze_decoder:
            self.adam["decoder"].step()

    def guidance(self, recon: Tensor, a: Tensor, labels: Tensor, draws: Draws) -> Tensor:
        """SC-EGG's L_EGS: as printed of synthetic seen features, in the code of reconstructions."""
        assert self.guide is not None
        seen = recon if self.o.reading == "authors" else self.generator(draws["seen_prior"], a)
        classes = draws["unseen_class"]
        unseen = self.generator(draws["unseen_prior"], self.a[classes])
        return self.o.lambda_s * F.cross_entropy(self.guide(seen), labels) + self.o.lambda_u * (
            F.cross_entropy(self.guide(unseen), classes)
        )

    def reconstruction(self, g: Tensor, a: Tensor) -> Tensor:
        """The codes' weighted L1, whose weights are part of the gradient; or as SC-EGG's paper prints it."""
        if self.o.reconstruction_norm == "l1":
            return F.l1_loss(self.decoder(g), a, reduction="sum") / len(g)
        wt = (self.decoder(g) - a).pow(2)
        wt = wt / wt.sum(1).sqrt()[:, None]
        return (wt * (self.decoder(g) - a).abs()).sum() / len(g)

    def zero(self, *nets: str) -> None:
        for net in nets:
            self.adam[net].zero_grad()
