"""AREN (Xie et al., CVPR 2019) on region features r (b, R, dv). The names are the paper's; the numbers of its
equations were not at hand. σ is the sigmoid; a(c) has unit length.

================== =============================================== ==============================
attentive regions  M_k = σ(w_kᵀ r + b_k), 0 if its peak is low     :func:`.parts.part_masks`
parts              f_k = max_R M_k ⊙ r                             :func:`.parts.part_features`
ARE                e_1 = W_1 [f_1; …; f_K]                         :meth:`ARENFrozen.first_order`
ACSE               e_2 = W_2 max_k (C r)ᵀ (M_k ⊙ r) / R            :meth:`ARENFrozen.second_order`
scores             s_c = eᵀ a(c)                                   classifier ``attribute-scores``
loss               cross-entropy over the seen classes, for each e :meth:`ARENFrozen.stream_loss`
================== =============================================== ==============================
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import (
    Batch,
    Embedding,
    Exponential,
    Fit,
    Losses,
    Networks,
    Noise,
    Optimizer,
    Program,
    Step,
    Streams,
    TrainView,
    Uniform,
)
from zslbench.training import cross_entropy, linear, unit
from zslbench_aren.parts import dropout, initial_masks, part_features, part_masks
from zslbench_aren.settings import ARENSettings, PartSettings
from zslbench_common.attribute_scores import attribute_scores

Masks = Float[Tensor, "b regions parts"]
Scores = Float[Tensor, "b attributes"]


class ARENFrozen(Embedding):
    """g is the weighted mean of the streams' attribute scores. The networks are ``masks``, ``first`` (W_1,
    (A, K·dv)), ``compress`` (C, to m maps) and ``second`` (W_2, (A, m·dv))."""

    inputs = "regions"
    settings: PartSettings

    def first_order(self, net: Mapping[str, Tensor], f: Float[Tensor, "b parts dv"]) -> Scores:
        """e_1: the parts side by side."""
        return f.flatten(1) @ net["weight"].T

    def second_order(self, nets: Networks, masks: Masks, r: Float[Tensor, "b regions dv"]) -> Scores:
        """e_2: each part's correlations with the compressed maps, the largest over the parts."""
        compressed = linear(nets["compress"], "map", r) / r.shape[1]
        pooled = torch.stack([(mask[..., None] * compressed).mT @ r for mask in masks.unbind(2)])
        return pooled.amax(dim=0).flatten(1) @ nets["second"]["weight"].T

    def streams(self, nets: Networks, r: Float[Tensor, "b regions dv"]) -> dict[str, Scores]:
        """e of every stream with a weight."""
        masks = part_masks(nets["masks"], r, self.settings.threshold)
        made = {"first": self.first_order(nets["first"], part_features(masks, r))}
        if "second" in self.weights:
            made["second"] = self.second_order(nets, masks, r)
        return made

    @property
    def weights(self) -> dict[str, float]:
        """Each stream's weight in the loss and in g."""
        assert isinstance(self.settings, ARENSettings)
        second = self.settings.second_order
        return {"first": 1.0} | ({"second": second} if second else {})

    def stream_loss(self, e: Scores, labels: Tensor) -> Float[Tensor, ""]:
        """The cross-entropy of eᵀ a(c) over the seen classes."""
        return cross_entropy(attribute_scores(e, unit(self.space.semantics)), labels, self.space.seen)

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """The weighted mean of the streams' losses; their scores pass through dropout first."""
        rate, weights = self.settings.dropout, self.weights
        logged = {
            name: self.stream_loss(dropout(e, noise[name], rate) if rate else e, batch.labels)
            for name, e in self.streams(nets, batch.features).items()
        }
        return Losses(self.mean({name: weights[name] * one for name, one in logged.items()}), logged)

    def mean(self, weighted: Mapping[str, Tensor]) -> Tensor:
        """The sum of weighted terms over the sum of the weights."""
        return torch.stack([*weighted.values()]).sum(dim=0) / sum(self.weights.values())

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n attributes"]:
        """g, without dropout."""
        made = self.streams(nets, inputs)
        return self.mean({name: self.weights[name] * e for name, e in made.items()})

    # --- training ----------------------------------------------------------------------------------------

    @property
    def trained(self) -> tuple[str, ...]:
        """The networks, all of them trained."""
        return ("masks", "first", *(("compress", "second") if "second" in self.weights else ()))

    def initial(self, channels: int, streams: Streams) -> Networks:
        """Weights of variance 1 / inputs and biases 0 (ours: the released code has the framework's uniform
        ones, of a third of that variance)."""
        s, attributes = self.settings, self.space.semantics.shape[1]
        assert isinstance(s, ARENSettings)
        nets: Networks = {
            "masks": initial_masks(streams, "masks", channels, s.parts),
            "first": initial_projection(streams, "first", s.parts * channels, attributes),
        }
        if "second" in self.weights:
            compress = initial_masks(streams, "compress", channels, s.compressed)
            nets["compress"] = {f"map.{part}": compress[f"mask.{part}"] for part in ("weight", "bias")}
            nets["second"] = initial_projection(streams, "second", s.compressed * channels, attributes)
        return nets

    def fit(self, view: TrainView) -> Fit:
        s, regions = self.settings, view.regions
        assert regions is not None
        channels = regions[torch.zeros(1, dtype=torch.long, device=view.labels.device)].shape[2]
        noise = {name: Uniform((self.space.semantics.shape[1],)) for name in self.weights if s.dropout}
        rule = Optimizer(
            "sgd",
            lr=s.lr,
            momentum=s.momentum,
            weight_decay=s.weight_decay,
            lr_schedule=Exponential(0.1, every=s.decay_every),
        )
        return Program(
            initial=partial(self.initial, channels),
            passes=((Step("scores", self.losses, self.trained, noise),),),
            optimizers=dict.fromkeys(self.trained, rule),
            features=regions,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            sampler="shuffled",
        )


def initial_projection(streams: Streams, net: str, inputs: int, outputs: int) -> dict[str, Tensor]:
    """A matrix without bias, ``weight`` (outputs, inputs), of variance 1 / inputs."""
    return {"weight": streams.normal(net, (outputs, inputs), inputs**-0.5)}
