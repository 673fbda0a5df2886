"""Class scores by a bilinear form, s(x, c) = gᵀ W a(c), for any embedding and without synthesis.

W is trained with cross-entropy over the seen classes. ESZSL finds such a W in closed form; ALE, DeViSE and
SJE use ranking losses.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from zslbench.plugin import (
    Batch,
    Classifier,
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
from zslbench.training import cross_entropy
from zslbench_common.attribute_scores import attribute_scores, class_semantics, favour_unseen
from zslbench_common.settings import BilinearScoresSettings


class BilinearScores(Classifier):
    """gᵀ W is what the images' attribute scores would be."""

    needs_examples = False
    settings: BilinearScoresSettings

    def compatibility(self, nets: Networks, g: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        """gᵀ W a(c), without offset."""
        a = class_semantics(self.space.semantics, self.settings.semantics)
        return attribute_scores(g @ nets["bilinear"]["w"], a.to(g.dtype))

    def losses(self, nets: Networks, batch: Batch, noise: Noise) -> Losses:
        """Cross-entropy over the seen classes."""
        scores = self.compatibility(nets, batch.features)
        return Losses(cross_entropy(scores, batch.labels, self.space.seen), {})

    def scores(self, nets: Networks, features: Float[Tensor, "n d"]) -> Float[Tensor, "n classes"]:
        return favour_unseen(self.compatibility(nets, features), self.space.unseen, self.settings.offset)

    def fit(self, view: TrainView) -> Fit:
        s, shape = self.settings, (view.features.shape[1], self.space.semantics.shape[1])

        def initial(streams: Streams) -> Networks:
            return {"bilinear": {"w": streams.normal("w", shape, std=shape[0] ** -0.5)}}

        return Program(
            initial=initial,
            passes=((Step("bilinear", self.losses, updates=("bilinear",)),),),
            optimizers={"bilinear": Optimizer("adam", lr=s.lr, weight_decay=s.weight_decay)},
            features=view.features,
            labels=view.labels,
            epochs=s.epochs,
            batch_size=s.batch_size,
            sampler="shuffled",
        )
