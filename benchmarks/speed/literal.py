"""The plain loops that ours are compared with: torch.nn modules, one backward pass for each term.

They compute the reading ``authors`` of SC-EGG as the published training loop does: batches are drawn on the
host, features are copied to the device and pooled by the frozen attention in each sub-step, and the weight of
the gradient penalty is decided on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.speed.problem import Problem
from zslbench.plugin.programs import Batch
from zslbench.plugin.views import Networks

Features = Callable[[Tensor], Tensor]
"""From row numbers on the host to their features on the device: maps of regions, or g."""


def layers(weights: Mapping[str, Tensor]) -> nn.ModuleDict:
    """Linear layers with the names and weights of ours."""
    made = nn.ModuleDict()
    for name in (key.removesuffix(".weight") for key in weights if key.endswith(".weight")):
        outputs, inputs = weights[f"{name}.weight"].shape
        made[name] = nn.Linear(inputs, outputs)
    made.load_state_dict(weights)
    return made.to(next(iter(weights.values())).device)


def hidden(net: nn.ModuleDict, x: Tensor, *names: str) -> Tensor:
    """x after some layers, each followed by LeakyReLU."""
    for name in names:
        x = F.leaky_relu(net[name](x), 0.2)
    return x


def balanced(labels: Tensor, classes: Tensor, batch: int) -> Iterator[Tensor]:
    """Row numbers of batches with images of different classes, drawn on the host."""
    of_class = [rows for one in classes.cpu() if len(rows := torch.where(labels == one)[0])]
    while True:
        chosen = [of_class[one] for one in torch.randperm(len(of_class))[:batch].tolist()]
        yield torch.stack([rows[int(torch.randint(len(rows), ()))] for rows in chosen])


class LiteralSCEN(nn.Module):
    """Equations (1)-(7) in the reading ``authors``."""

    def __init__(self, nets: Networks, problem: Problem) -> None:
        super().__init__()
        self.v = nn.Parameter(nets["vectors"]["v"].clone())
        self.w_alpha = nn.Parameter(nets["attention"]["w_alpha"].clone())
        self.w_beta = nn.Parameter(nets["projection"]["w_beta"].clone())
        self.sc, self.cls_g = layers(nets["sc"]), layers(nets["cls_g"])
        self.semantics = F.normalize(problem.space.semantics)
        self.seen = problem.space.seen
        self.range = problem.scen["range"]

    def local(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """h (b, attributes, channels) and e_l of maps (b, channels, regions)."""
        r = F.normalize(maps, dim=1)
        attention = torch.softmax(torch.einsum("iv,vf,bfr->bir", self.v, self.w_alpha, r), dim=-1)
        h = torch.einsum("bir,bfr->bif", attention, r)
        return h, torch.einsum("iv,fv,bif->bi", self.v, self.w_beta, h)

    def loss(self, maps: Tensor, labels: Tensor) -> Tensor:
        """L_LCE + L_GCE over the seen classes."""
        h, e = self.local(maps)
        g = self.sc["second"](F.leaky_relu(self.sc["first"](h.transpose(1, 2)))).squeeze(2)
        total: Tensor = F.cross_entropy((e @ self.semantics.T)[:, self.seen], labels)
        return total + F.cross_entropy(self.cls_g["out"](g)[:, self.seen], labels)

    @torch.no_grad()
    def pooled(self, maps: Tensor) -> Tensor:
        """Scaled g: the mean over attributes of h."""
        g = self.local(maps)[0].mean(dim=1)
        return (g - self.range["low"]) / self.range["spread"]


def literal_stage1(problem: Problem, nets: Networks, maps: Features) -> Callable[[], None]:
    """The loop: batches from the host's memory, steps of RMSprop."""
    s: Any = problem.embedding.settings.stage1
    model = LiteralSCEN(nets, problem)
    rule = torch.optim.RMSprop(model.parameters(), lr=s.lr, weight_decay=s.weight_decay, momentum=s.momentum)
    labels = problem.view.labels.cpu()[: problem.sizes.stored]
    batches = balanced(labels, problem.space.seen, problem.sizes.batch)

    def call() -> None:
        for rows in islice(batches, problem.sizes.stage1_iterations):
            rule.zero_grad()
            loss = model.loss(maps(rows), labels[rows].to(problem.device))
            loss.backward()  # type: ignore[no-untyped-call]
            rule.step()
            float(loss.detach())  # the host reads it

    return call


class LiteralStage3:
    """The loop, with its networks, optimisers and host state."""

    def __init__(self, problem: Problem, nets: Networks, features: Features) -> None:
        s: Any = problem.eggn.settings
        self.s, self.space, self.features = s, problem.space, features
        self.device = problem.device
        self.encoder, self.generator, self.critic, self.decoder, self.feedback = (
            layers(nets[name]) for name in ("encoder", "generator", "critic", "decoder", "feedback")
        )
        self.guide = layers(problem.scen["regressor"]).requires_grad_(False)
        rates = {
            "encoder": (s.lr, 0.9), "generator": (s.lr, s.beta1), "critic": (s.lr, s.beta1),
            "decoder": (s.decoder_lr, s.beta1), "feedback": (s.feedback_lr, s.beta1),
        }  # fmt: skip
        self.optimizers = {
            name: torch.optim.Adam(getattr(self, name).parameters(), lr=lr, betas=(beta1, 0.999))
            for name, (lr, beta1) in rates.items()
        }
        self.weight = s.lambda_gp
        self.labels = problem.view.labels.cpu()
        self.batches = balanced(self.labels, problem.space.seen, problem.sizes.batch)

    def encode(self, g: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        x = hidden(self.encoder, torch.cat([g, a], 1), "hidden", "middle")
        return self.encoder["mean"](x), self.encoder["logvar"](x)

    def generate(self, z: Tensor, a: Tensor, refined: Tensor | None = None) -> Tensor:
        x = hidden(self.generator, torch.cat([z, a], 1), "hidden")
        return torch.sigmoid(self.generator["out"](x if refined is None else x + refined))

    def criticise(self, x: Tensor, a: Tensor) -> Tensor:
        score: Tensor = self.critic["out"](hidden(self.critic, torch.cat([x, a], 1), "hidden"))
        return score

    def decode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = hidden(self.decoder, x, "hidden")
        return F.normalize(self.decoder["out"](x), dim=1), x

    def reconstruct(self, z: Tensor, a: Tensor, later: bool) -> Tensor:
        fake = self.generate(z, a)
        if not later:
            return fake
        back = hidden(self.feedback, self.decode(fake)[1].detach(), "first", "second")
        return self.generate(z, a, self.s.a1 * back)

    def decoder_step(self, batch: Batch, *, update: bool = True) -> float:
        """One update of the decoder; returns the loss."""
        self.optimizers["decoder"].zero_grad()
        loss = self.s.lambda_r * _weighted_l1(self.decode(batch.features)[0], batch.semantics)
        loss.backward()
        if update:
            self.optimizers["decoder"].step()
        return float(loss.detach())

    def critic_step(
        self, batch: Batch, noise: dict[str, Tensor], later: bool, *, update: bool = True
    ) -> tuple[float, float]:
        """One update of the critic; returns the loss and the penalty."""
        s, g, a = self.s, batch.features, batch.semantics
        self.optimizers["critic"].zero_grad()
        real = s.lambda_w * self.criticise(g, a).mean()
        (-real).backward()
        mean, logvar = self.encode(g, a)
        z = mean + (0.5 * logvar).exp() * noise["reparameterisation"]
        fake = self.reconstruct(z, a, later).detach()
        false = s.lambda_w * self.criticise(fake, a).mean()
        false.backward()
        between = (noise["mix"] * g + (1 - noise["mix"]) * fake).requires_grad_()
        score = self.criticise(between, a)
        slope = torch.autograd.grad(score, between, torch.ones_like(score), create_graph=True)[0]
        penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean()
        weighted = s.lambda_w * self.weight * penalty
        weighted.backward()
        if update:
            self.optimizers["critic"].step()
        return float((weighted - real + false).detach()), float(penalty.detach())

    def generator_step(
        self, batch: Batch, noise: dict[str, Tensor], later: bool, *, update: bool = True
    ) -> float:
        """One update of encoder, generator, decoder and feedback module; returns the loss."""
        s, (g, labels, a, _) = self.s, batch
        trained = ["encoder", "generator", "decoder", *(["feedback"] if later else [])]
        for name in trained:
            self.optimizers[name].zero_grad()
        mean, logvar = self.encode(g, a)
        fake = self.reconstruct(mean + (0.5 * logvar).exp() * noise["reparameterisation"], a, later)
        kl = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum() / len(g)
        loss = F.binary_cross_entropy(fake + 1e-12, g, reduction="sum") / len(g) + kl
        loss = loss - s.lambda_w * self.criticise(fake, a).mean()
        loss = loss + s.lambda_r * _weighted_l1(self.decode(fake)[0], a)
        loss = loss + s.lambda_s * F.cross_entropy(self.guided(fake), labels)
        classes = noise["unseen_class"]
        unseen = self.generate(noise["unseen_prior"], self.space.semantics[classes])
        loss = loss + s.lambda_u * F.cross_entropy(self.guided(unseen), classes)
        loss.backward()
        if update:
            for name in trained:
                self.optimizers[name].step()
        return float(loss.detach())

    def guided(self, g: Tensor) -> Tensor:
        return self.guide["second"](F.leaky_relu(self.guide["first"](g), 0.01))

    def draw(self) -> Batch:
        """A batch on the device."""
        rows = next(self.batches)
        labels = self.labels[rows].to(self.device)
        return Batch(self.features(rows), labels, self.space.semantics[labels])

    def noise(self, rows: int) -> dict[str, Tensor]:
        latent = len(self.encoder.get_parameter("mean.weight"))
        which = torch.randint(len(self.space.unseen), (rows,), device=self.device)
        return {
            "reparameterisation": torch.randn(rows, latent, device=self.device),
            "mix": torch.rand(rows, 1, device=self.device),
            "unseen_class": self.space.unseen[which],
            "unseen_prior": torch.randn(rows, latent, device=self.device),
        }

    def train(self, iterations: int) -> None:
        """Iterations of each pass: critic steps, then a generator step on a new batch."""
        s = self.s
        for later in [False, True][: s.feedback_loops]:
            for _ in range(iterations):
                penalties = 0.0
                for _ in range(s.critic_steps):
                    batch = self.draw()
                    self.decoder_step(batch)
                    penalties += self.critic_step(batch, self.noise(len(batch.labels)), later)[1]
                mean = penalties / s.critic_steps
                if mean > 1.05:
                    self.weight *= 1.1
                elif mean < 1.001:
                    self.weight /= 1.1
                batch = self.draw()
                self.generator_step(batch, self.noise(len(batch.labels)), later)


def _weighted_l1(found: Tensor, target: Tensor) -> Tensor:
    difference = (found - target).abs()
    weights = difference**2 / difference.norm(dim=1, keepdim=True)
    total: Tensor = (weights * difference).sum() / len(found)
    return total
