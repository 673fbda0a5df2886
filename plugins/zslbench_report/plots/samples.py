"""Which features a t-SNE shows: some classes, some test images of each, and synthetic features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from zslbench.errors import SettingsError
from zslbench.plugin.streams import Streams
from zslbench.training.step import draw
from zslbench_report.plots.fitted import FittedRun, checked

KINDS = ("real seen", "real unseen", "synthetic unseen")

MOST_CLASSES = 20
"""Ten colours, each for one seen and one unseen class."""


@dataclass(frozen=True)
class Chosen:
    """The classes and test images of a figure; both panels show the same."""

    seen: Int[np.ndarray, " a"]
    unseen: Int[np.ndarray, " b"]
    rows: Int[np.ndarray, " n"]
    """Images, as row numbers of the data set."""


@dataclass(frozen=True)
class Samples:
    """Features with what they are."""

    features: Float[np.ndarray, "n d"]
    kinds: tuple[str, ...]
    """Of each feature: one of ``KINDS``."""
    labels: Int[np.ndarray, " n"]
    rows: tuple[int | None, ...]
    """The image's row number; None: synthetic."""


def choose(run: FittedRun, classes: int, per_class: int, seed: int) -> Chosen:
    """Classes and test images, drawn by the seed; half of the classes unseen, as far as there are so many.

    Real features are of test images: an embedding was trained on the others, which would flatter it.

    Raises:
        SettingsError: fewer than two or too many classes.
    """
    if not 2 <= classes <= MOST_CLASSES:
        raise SettingsError(f"--classes {classes}: give 2 to {MOST_CLASSES}, more cannot be told apart")
    if per_class < 1:
        raise SettingsError(f"--per-class {per_class}: give 1 or more")
    random = np.random.default_rng(seed)
    labels, split = run.dataset.labels, run.dataset.split
    sides = [random.permutation(np.unique(labels[rows])) for rows in (split.test_seen, split.test_unseen)]
    unseen = min(classes - classes // 2, len(sides[1]))
    seen = min(classes - unseen, len(sides[0]), MOST_CLASSES // 2)
    unseen = min(classes - seen, len(sides[1]), MOST_CLASSES // 2)
    chosen = [np.sort(side[:number]) for side, number in zip(sides, (seen, unseen), strict=True)]
    rows = []
    for side, of in zip(chosen, (split.test_seen, split.test_unseen), strict=True):
        for one in side:
            images = np.sort(of[labels[of] == one])
            rows.append(np.sort(random.permutation(images)[:per_class]))
    return Chosen(chosen[0], chosen[1], np.concatenate(rows))


def real(run: FittedRun, chosen: Chosen, features: Float[np.ndarray, "n d"]) -> Samples:
    """The chosen test images with these features."""
    labels = run.dataset.labels[chosen.rows]
    unseen = np.isin(labels, chosen.unseen)
    return Samples(
        features, tuple(KINDS[int(one)] for one in unseen), labels, tuple(int(one) for one in chosen.rows)
    )


def embedded(run: FittedRun, chosen: Chosen) -> Float[np.ndarray, "n d"]:
    """g of the chosen images."""
    g = run.embed(torch.from_numpy(chosen.rows))
    return checked("embedding's g", run.record, (len(chosen.rows), g.shape[-1]), g).numpy()


def synthetic(run: FittedRun, chosen: Chosen, per_class: int, seed: int) -> Samples | None:
    """Features that the run's generator makes for the chosen unseen classes; None: it has no generator."""
    if run.generator is None:
        return None
    streams = Streams(seed).child("tsne")
    made = []
    with torch.no_grad():
        for one in chosen.unseen.tolist():
            noise = {
                name: draw(spec, per_class, streams, name)
                for name, spec in run.generator.sample_noise.items()
            }
            semantics = run.fold.space.semantics[one].expand(per_class, -1)
            made.append(run.generator.sample(run.networks.get("generator", {}), semantics, noise))
    g = torch.cat(made)
    labels = np.repeat(chosen.unseen, per_class)
    features = checked("generator's sample", run.record, (len(labels), g.shape[-1]), g).numpy()
    return Samples(features, (KINDS[2],) * len(labels), labels, (None,) * len(labels))


def together(parts: list[Samples]) -> Samples:
    """All of them, in this order."""
    return Samples(
        np.concatenate([one.features for one in parts]),
        tuple(kind for one in parts for kind in one.kinds),
        np.concatenate([one.labels for one in parts]),
        tuple(row for one in parts for row in one.rows),
    )
