"""APN (Xu et al., NeurIPS 2020) on region features r (b, R, dv) of a square grid; numbers are the paper's.

====== ==================================================================== =================================
(1)    BaseMod: L_CLS = −log softmax_y(eᵀ a) over seen c, e = pool_R(r) Vᵀ   :meth:`APNFrozen.base_scores`
       ProtoMod: M^k = ⟨p_k, r⟩,  â_k = max_R M^k                            :meth:`APNFrozen.similarity_maps`
(2)    L_Reg = ‖â − a(y)‖²                                                   :func:`regression_loss`
(3)    L_AD = Σ_c Σ_l ‖P_c^{S_l}‖₂ over channels c and groups l              :func:`decorrelation_loss`
(4)    L_CPT = Σ_k Σ_R M^k ‖position − position of the peak‖²                :func:`compactness_loss`
(5)    L_CLS + λ₁ L_Reg + λ₂ L_AD + λ₃ L_CPT                                 :meth:`APNFrozen.losses`
(7)    y = argmax_c softmax_c(eᵀ a) − γ [c is seen]                          classifier ``attribute-scores``
====== ==================================================================== =================================

The released code departs from this, and so does the reading ``authors``: on CUB, e is a maximum; the softmax
passes through a second one in the cross-entropy; ProtoMod has a cross-entropy of its own, and BaseMod
has L_Reg and L_AD; the norms of (3) are of a group's whole block; (4) has the sigmoid of M.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from zslbench.errors import ZslbenchError
from zslbench.plugin import (
    Attention,
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
)
from zslbench.training import cross_entropy, mse
from zslbench_apn.settings import APNSettings
from zslbench_common.attribute_scores import attribute_scores
from zslbench_common.regions import region_shape

START = 2e-4
"""Prototypes start uniform on [0, START) (code: model_proto.py)."""


def regression_loss(e: Float[Tensor, "b attributes"], a: Float[Tensor, "b attributes"]) -> Float[Tensor, ""]:
    """(2), the mean over attributes and images."""
    return mse(e, a)


def decorrelation_loss(
    prototypes: Float[Tensor, "attributes dv"], groups: Float[Tensor, "groups attributes"], *, block: bool
) -> Float[Tensor, ""]:
    """(3). 1e-8 is added to every channel's sum of squares, so that there is a gradient at 0.

    Args:
        groups: 1 where an attribute belongs to a group.
        block: the code's norms, of a group's block over all channels, instead of one per channel.
    """
    squares = groups @ prototypes**2 + 1e-8  # (groups, dv)
    return squares.sum(dim=1).sqrt().sum() if block else squares.sqrt().sum()


def squared_distances(regions: int, like: Tensor) -> Float[Tensor, "regions regions"]:
    """Squared distances between the regions of a square grid, in units of its cells.

    Raises:
        ZslbenchError: the number of regions is not a square.
    """
    side = math.isqrt(regions)
    if side**2 != regions:
        raise ZslbenchError(
            f"embedding apn: {regions} regions are not a square grid, which the compactness loss needs; "
            "set embedding.compactness_weight to 0"
        )
    at = torch.arange(regions, device=like.device)
    row, column = (at // side).to(like), (at % side).to(like)
    return (row[:, None] - row) ** 2 + (column[:, None] - column) ** 2


def compactness_loss(
    maps: Float[Tensor, "b regions attributes"], distances: Float[Tensor, "regions regions"], *, sigmoid: bool
) -> Float[Tensor, ""]:
    """(4), the mean over images; each attribute's peak is where its map is highest.

    Args:
        sigmoid: the code's map in place of M.
    """
    from_peak = distances[maps.detach().argmax(dim=1)].mT  # (b, regions, attributes)
    return ((torch.sigmoid(maps) if sigmoid else maps) * from_peak).sum(dim=(1, 2)).mean()


class APNFrozen(Embedding):
    """g is BaseMod's e, from which the code predicts, and ProtoMod's â beside it. The networks are ``base``
    and ``local``, each with ``prototypes`` (A, dv): V and p."""

    inputs = "regions"
    settings: APNSettings

    def base_scores(self, nets: Networks, r: Float[Tensor, "b regions dv"]) -> Float[Tensor, "b attributes"]:
        """e, pooled after the projection, which for the average is the same as before it."""
        maps = r @ nets["base"]["prototypes"].T
        return maps.amax(dim=1) if self.settings.pool == "max" else maps.mean(dim=1)

    def similarity_maps(
        self, nets: Networks, r: Float[Tensor, "b regions dv"]
    ) -> Float[Tensor, "b regions attributes"]:
        """M of ProtoMod."""
        return r @ nets["local"]["prototypes"].T

    def class_loss(self, e: Float[Tensor, "b attributes"], labels: Tensor) -> Float[Tensor, ""]:
        """(1); in the code of the softmax over the seen classes in place of the scores."""
        seen = self.space.seen
        scores = attribute_scores(e, self.space.semantics[seen])
        target = (labels[:, None] == seen).to(torch.int8).argmax(dim=1)
        return cross_entropy(torch.softmax(scores, dim=1) if self.released else scores, target)

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """(5), with the terms that have a weight."""
        s, r, groups = self.settings, batch.features, self.groups
        e, maps = self.base_scores(nets, r), self.similarity_maps(nets, r)
        local = maps.amax(dim=1)
        terms: dict[str, tuple[float, Callable[[], Tensor]]] = {
            "class": (1.0, lambda: self.class_loss(e, batch.labels)),
            "regression": (s.regression_weight, lambda: regression_loss(local, batch.semantics)),
            "decorrelation": (
                s.decorrelation_weight,
                lambda: decorrelation_loss(nets["local"]["prototypes"], groups, block=self.released),
            ),
            "compactness": (
                s.compactness_weight,
                lambda: compactness_loss(maps, squared_distances(r.shape[1], r), sigmoid=self.released),
            ),
        }
        if self.released:
            terms |= {
                "local_class": (s.local_class_weight, lambda: self.class_loss(local, batch.labels)),
                "base_regression": (s.base_regression_weight, lambda: regression_loss(e, batch.semantics)),
                "base_decorrelation": (
                    s.base_decorrelation_weight,
                    lambda: decorrelation_loss(nets["base"]["prototypes"], groups, block=True),
                ),
            }
        logged = {name: term() for name, (weight, term) in terms.items() if weight}
        weighted = [terms[name][0] * value for name, value in logged.items()]
        return Losses(torch.stack(weighted).sum(), logged)

    @property
    def released(self) -> bool:
        """Whether the losses are those of the released code."""
        return self.settings.reading == "authors"

    @property
    def groups(self) -> Float[Tensor, "groups attributes"]:
        """S_l: 1 where an attribute belongs to a group.

        Raises:
            ZslbenchError: no attribute has a name that starts with a group's prefixes.
        """
        semantics, names = self.space.semantics, self.space.attribute_names
        if not self.settings.groups:
            return torch.ones(1, semantics.shape[1]).to(semantics)
        rows = [[name.startswith(group) for name in names or ()] for group in self.settings.groups]
        if missing := [
            " ".join(group) for group, row in zip(self.settings.groups, rows, strict=True) if not any(row)
        ]:
            raise ZslbenchError(
                f"embedding apn: no attribute name starts with a prefix of group '{missing[0]}'; set "
                "embedding.groups to [] or to prefixes of the data set's attribute names"
            )
        return torch.tensor(rows).to(semantics)

    # --- training ----------------------------------------------------------------------------------------

    def fit(self, view: TrainView) -> Fit:
        s, regions, attributes = self.settings, view.regions, self.space.semantics.shape[1]
        assert regions is not None
        count, channels = region_shape(view)
        if s.compactness_weight:
            squared_distances(
                count, self.space.semantics
            )  # refuses grids that are not square before training

        def initial(streams: Streams) -> Networks:
            shape = (attributes, channels)
            return {net: {"prototypes": START * streams.uniform(net, shape)} for net in ("base", "local")}

        rule = Optimizer(
            lr=s.lr, betas=(s.beta1, 0.999), restart_every=1, lr_schedule=Exponential(s.decay, every=10)
        )
        return Program(
            initial=initial,
            passes=((Step("apn", self.losses, updates=("base", "local")),),),
            optimizers={"base": rule, "local": rule},
            features=regions,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            sampler="shuffled",
        )

    def embed(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Float[Tensor, "n two_heads"]:
        """e and â, two heads of A scores."""
        local = self.similarity_maps(nets, inputs).amax(dim=1)
        return torch.cat([self.base_scores(nets, inputs), local], dim=1)

    def attention(self, nets: Networks, inputs: Float[Tensor, "n regions dv"]) -> Attention:
        """ProtoMod's maps as a softmax over the regions, and â."""
        similar = self.similarity_maps(nets, inputs)
        maps = torch.softmax(similar, dim=1).mT
        return Attention(maps, similar.amax(dim=1), maps.mean(dim=1))
