"""LisGAN's final classifiers (Li et al., CVPR 2019): a softmax, and a second that learns from test images.

========= =========================================================== ==============================
H(x)      −Σ_y P₁(y | x) log P₁(y | x), P₁ the first classifier       :func:`entropy`
confident the share ρ of the test images for which H is lowest, with  :meth:`.LisGANSoftmax.confident`
          the labels that P₁ gives them
P₂        P₁, trained further on real, synthetic and confident ones   :meth:`.LisGANSoftmax.fit`
========= =========================================================== ==============================

The code (classifier2.py) takes the entropy of log-probabilities that are scaled to sum to 1, and the images
for which it is highest; for those it keeps P₁'s label, while here all scores are P₂'s. Its P₂ goes on with
the moments of P₁'s Adam, ours with new ones.
"""

from __future__ import annotations

from collections.abc import Generator as Coroutine
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.errors import SettingsError
from zslbench.plugin import Fit, Networks, Program, TrainView
from zslbench_clswgan.settings import LisGANSoftmaxSettings
from zslbench_common.softmax import Softmax


def entropy(log_p: Float[Tensor, "n classes"]) -> Float[Tensor, " n"]:
    """−Σ p log p of each row; a class of probability 0 adds 0."""
    each: Tensor = torch.special.entr(log_p.exp())
    return each.sum(dim=1)


class LisGANSoftmax(Softmax):
    """The softmax classifier; with ``refine``, trained further on the most confident test images."""

    settings: LisGANSoftmaxSettings

    def fit(self, view: TrainView) -> Fit:
        """P₁, or P₂.

        Raises:
            SettingsError: P₂ needs the test images, which the reading does not provide.
        """
        if not self.settings.refine:
            return super().fit(view)
        if view.test is None or view.test.features is None:
            raise SettingsError(
                "classifier lisgan: refine needs the features of test images, which only a transductive "
                "reading may know: use --reading authors, or refine = false"
            )
        return self.refined(view, view.test.features)

    def refined(self, view: TrainView, test: Float[Tensor, "m e"]) -> Coroutine[Program, Networks, Networks]:
        """First P₁, then P₂, which starts from it."""
        whole = super().fit(view)
        assert isinstance(whole, Program)
        first = yield replace(whole, epochs=self.settings.first_epochs, name="first", paced=False)
        chosen, labels = self.confident(first, test)
        return (
            yield replace(
                whole,
                initial=lambda streams: {name: dict(net) for name, net in first.items()},
                features=torch.cat([view.features, test[chosen]]),
                labels=torch.cat([view.labels, labels]),
            )
        )

    def confident(
        self, first: Networks, test: Float[Tensor, "m e"]
    ) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
        """Rows of the k = ⌊ρ m⌋ test images of which P₁ is most certain, and the labels it gives them."""
        log_p = self.scores(first, test)
        chosen = entropy(log_p).argsort()[: int(self.settings.ratio * len(test))]
        return chosen, log_p[chosen].argmax(dim=1)
