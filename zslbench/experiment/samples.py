"""Statistics of a generator's synthetic features, for debugging it.

No other figure of a run depends on them: their noise has its own streams. They read training images and, in
validation, images of the validation classes, but never test images.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zslbench.evaluation.folds import Fold
from zslbench.experiment.inputs import ClassifierInputs
from zslbench.plugin.views import TrainView

PER_CLASS = 20
"""Synthetic features of each class."""
CLASSES = 50
"""At most so many classes of each side are examined, evenly spaced."""
SAME = 0.01
"""Two synthetic features closer than this share of the real spread count as one point."""


def sample_statistics(inputs: ClassifierInputs, view: TrainView, fold: Fold) -> dict[str, float]:
    """Figures of synthetic features of seen classes, ``samples_seen_purity`` and so on, and in validation of
    the validation classes, ``samples_unseen_purity``.

    The space is g, or the classifier's inputs where the generator samples those.

    Args:
        view: g of the training images.
        fold: with g of held-out images; read in validation only.
    """
    sides = {"seen": (view.features, view.labels)}
    if fold.name == "validation":
        held_out = fold.test_unseen
        labels = torch.from_numpy(held_out.labels).to(view.labels.device)
        sides["unseen"] = torch.cat(list(held_out.inputs())), labels
    found: dict[str, float] = {}
    for side, (g, labels) in sides.items():
        classes = torch.unique(labels)
        chosen = torch.linspace(0, len(classes) - 1, min(CLASSES, len(classes)), dtype=torch.float64).round()
        classes = classes[chosen.long().to(classes.device)]
        rows = torch.isin(labels, classes)
        real, fake = inputs.compared(g[rows], fold.space.semantics[classes], PER_CLASS)
        place = torch.searchsorted(classes, labels[rows])
        found |= {f"samples_{side}_{name}": one for name, one in statistics(fake, real, place).items()}
    return found


def statistics(
    fake: Float[Tensor, "k n d"], real: Float[Tensor, "m d"], labels: Int[Tensor, " m"]
) -> dict[str, float]:
    """How synthetic features of k classes differ from real ones.

    Spreads and distances are Euclidean, in units of the spread of real features: the root mean square of
    their distance to the mean of their class. Where that is 0, what is relative to it is missing (NaN).

    Args:
        labels: the class of each real feature, 0 to k-1; every class has one.

    Returns:
        ``mean`` and ``real_mean`` of all entries; ``spread`` (1: that of real features); ``collapsed``, the
        share of synthetic features with another one of their class at the same point; ``distance`` of the
        class means from the real ones; ``purity``, the share of synthetic features whose nearest real class
        mean is that of their own class.
    """
    fake, real = fake.double(), real.double()
    classes, count, _ = fake.shape
    sums = torch.zeros(classes, real.shape[1], dtype=real.dtype, device=real.device)
    means = sums.index_add(0, labels, real) / torch.bincount(labels, minlength=classes)[:, None]
    unit = (real - means[labels]).square().sum(dim=1).mean().sqrt()
    unit = torch.where(unit > 0, unit, math.nan)
    centres = fake.mean(dim=1)
    apart = torch.cdist(fake, fake) + torch.diag(fake.new_full((count,), math.inf))
    nearest = torch.cdist(fake.flatten(0, 1), means).argmin(dim=1).view(classes, count)
    own = torch.arange(classes, device=fake.device)[:, None]
    found = {
        "mean": fake.mean(),
        "real_mean": real.mean(),
        "spread": (fake - centres[:, None]).square().sum(dim=2).mean().sqrt() / unit,
        "collapsed": (apart.min(dim=2).values <= SAME * unit).double().mean() + 0 * unit,
        "distance": (centres - means).norm(dim=1).mean() / unit,
        "purity": (nearest == own).double().mean(),
    }
    return {name: float(one) for name, one in found.items()}
