"""Stage 1 and the frozen attention as plain code: local features formed, channels first, one optimiser."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.speed.problem import HostRegions, Problem
from zslbench.plugin.interfaces import Networks


class LiteralSCEN(nn.Module):
    """Equations (1)-(7) in the reading ``authors``."""

    def __init__(self, nets: Networks, problem: Problem) -> None:
        super().__init__()
        self.v = nn.Parameter(nets["vectors"]["v"].clone())
        self.w_alpha = nn.Parameter(nets["attention"]["w_alpha"].clone())
        self.w_beta = nn.Parameter(nets["projection"]["w_beta"].clone())
        self.first, self.second, self.out = (
            _linear(nets[net], name) for net, name in (("sc", "first"), ("sc", "second"), ("cls_g", "out"))
        )
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
        g = self.second(F.leaky_relu(self.first(h.transpose(1, 2)))).squeeze(2)
        total: Tensor = F.cross_entropy((e @ self.semantics.T)[:, self.seen], labels)
        return total + F.cross_entropy(self.out(g)[:, self.seen], labels)

    @torch.no_grad()
    def pooled(self, maps: Tensor) -> Tensor:
        """Scaled g: the mean over attributes of h."""
        g = self.local(maps)[0].mean(dim=1)
        return (g - self.range["low"]) / self.range["spread"]


class LiteralStage1:
    """Its loop: a batch from the host's memory, one step of RMSprop."""

    def __init__(self, problem: Problem, nets: Networks, host: HostRegions) -> None:
        s: Any = problem.embedding.settings.stage1
        self.model = LiteralSCEN(nets, problem)
        self.host, self.problem = host, problem
        self.optimizer = torch.optim.RMSprop(
            self.model.parameters(), lr=s.lr, weight_decay=s.weight_decay, momentum=s.momentum
        )
        labels = problem.view.labels.cpu()[: len(host.maps)]
        self.labels = labels
        self.of_class = [
            rows for one in problem.space.seen.cpu() if len(rows := torch.where(labels == one)[0])
        ]

    def step(self) -> float:
        """One update; gives the loss."""
        chosen = torch.randperm(len(self.of_class))[: self.problem.sizes.batch].tolist()
        rows = torch.stack(
            [rows[int(torch.randint(len(rows), ()))] for rows in (self.of_class[one] for one in chosen)]
        )
        self.optimizer.zero_grad()
        loss = self.model.loss(self.host.batch(rows), self.labels[rows].to(self.problem.device))
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return float(loss.detach())


def _linear(net: dict[str, Tensor], name: str) -> nn.Linear:
    weight = net[f"{name}.weight"]
    layer = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device)
    layer.load_state_dict({key: net[f"{name}.{key}"] for key in ("weight", "bias")})
    return layer
