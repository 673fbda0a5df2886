"""The points of a t-SNE: some classes, some test images of each, synthetic features, and the projection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from zslbench.errors import SettingsError
from zslbench.plugin import Streams
from zslbench.training import draw
from zslbench_report.plots.fitted import FittedRun, require_shape

KINDS = ("real seen", "real unseen", "synthetic unseen")

MOST_CLASSES = 20
"""Ten colours, each for one seen and one unseen class."""
_COMPONENTS = 50
_PERPLEXITY = 30.0
_FEWEST = 4


@dataclass(frozen=True)
class Selection:
    """The classes and test images of a figure; all of its panels show the same."""

    seen: Int[np.ndarray, " a"]
    unseen: Int[np.ndarray, " b"]
    rows: Int[np.ndarray, " n"]
    """Images, as row numbers of the data set."""


@dataclass(frozen=True)
class Samples:
    """Features with their kinds, classes and images."""

    features: Float[np.ndarray, "n d"]
    kinds: tuple[str, ...]
    """Of each feature: one of ``KINDS``."""
    labels: Int[np.ndarray, " n"]
    rows: tuple[int | None, ...]
    """The image's row number; None: synthetic."""


def select(run: FittedRun, classes: int, per_class: int, seed: int) -> Selection:
    """Classes and test images, drawn by the seed; half of the classes unseen, as far as there are enough.

    Only test images are shown: the embedding was trained on the others, which would flatter it.

    Raises:
        SettingsError: ``classes`` or ``per_class`` is out of range.
    """
    if not 2 <= classes <= MOST_CLASSES:
        raise SettingsError(f"--classes {classes}: give 2 to {MOST_CLASSES}; more would look the same")
    if per_class < 1:
        raise SettingsError(f"--per-class {per_class}: give 1 or more")
    random = np.random.default_rng(seed)
    labels, split = run.dataset.labels, run.dataset.split
    test_rows = (split.test_seen, split.test_unseen)
    sides = [random.permutation(np.unique(labels[rows])) for rows in test_rows]
    unseen = min(classes - classes // 2, len(sides[1]))
    seen = min(classes - unseen, len(sides[0]), MOST_CLASSES // 2)
    unseen = min(classes - seen, len(sides[1]), MOST_CLASSES // 2)
    chosen = [np.sort(side[:number]) for side, number in zip(sides, (seen, unseen), strict=True)]
    images = []
    for side, rows in zip(chosen, test_rows, strict=True):
        for label in side:
            of_class = np.sort(rows[labels[rows] == label])
            images.append(np.sort(random.permutation(of_class)[:per_class]))
    return Selection(chosen[0], chosen[1], np.concatenate(images))


def real_samples(run: FittedRun, selection: Selection, features: Float[np.ndarray, "n d"]) -> Samples:
    """The selected test images with these features."""
    labels = run.dataset.labels[selection.rows]
    kinds = tuple(KINDS[int(unseen)] for unseen in np.isin(labels, selection.unseen))
    return Samples(features, kinds, labels, tuple(int(row) for row in selection.rows))


def embedded(run: FittedRun, selection: Selection) -> Float[np.ndarray, "n d"]:
    """g of the selected images."""
    g = run.embed(torch.from_numpy(selection.rows))
    return require_shape("embedding's g", run.record, (len(selection.rows), g.shape[-1]), g).numpy()


def synthetic_samples(run: FittedRun, selection: Selection, per_class: int, seed: int) -> Samples | None:
    """Features that the run's generator makes for the selected unseen classes; None: it has no generator."""
    if run.generator is None:
        return None
    streams = Streams(seed).child("tsne")
    made = []
    with torch.no_grad():
        for label in selection.unseen.tolist():
            noise = {
                name: draw(spec, per_class, streams, name)
                for name, spec in run.generator.sample_noise.items()
            }
            semantics = run.fold.space.semantics[label].expand(per_class, -1)
            made.append(run.generator.sample(run.networks.get("generator", {}), semantics, noise))
    g = torch.cat(made)
    labels = np.repeat(selection.unseen, per_class)
    features = require_shape("generator's sample", run.record, (len(labels), g.shape[-1]), g).numpy()
    return Samples(features, (KINDS[2],) * len(labels), labels, (None,) * len(labels))


def joined(parts: Sequence[Samples]) -> Samples:
    """All samples, in this order."""
    return Samples(
        np.concatenate([part.features for part in parts]),
        tuple(kind for part in parts for kind in part.kinds),
        np.concatenate([part.labels for part in parts]),
        tuple(row for part in parts for row in part.rows),
    )


def project(features: Float[np.ndarray, "n d"], seed: int) -> Float[np.ndarray, "n 2"]:
    """Coordinates by t-SNE (van der Maaten & Hinton 2008) of features scaled to unit variance.

    50 principal components are taken first, as its authors do. Perplexity 30, or a third of the other points
    where there are few. Equal on every call.

    Raises:
        SettingsError: fewer than four points.
    """
    if len(features) < _FEWEST:
        raise SettingsError(f"t-SNE of {len(features)} points: raise --classes or --per-class")
    # One thread: sums in another order give other coordinates.
    with threadpool_limits(1):
        scaled = StandardScaler().fit_transform(features.astype(np.float64))
        components = min(_COMPONENTS, *scaled.shape)
        reduced = PCA(components, svd_solver="full").fit_transform(scaled)
        perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
        return np.asarray(tsne.fit_transform(reduced), dtype=np.float64)
