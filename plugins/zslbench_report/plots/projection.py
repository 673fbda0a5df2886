"""t-SNE in two dimensions, the same each time."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from zslbench.errors import SettingsError

_COMPONENTS = 50
_PERPLEXITY = 30.0
_LEAST = 4


def project(features: Float[np.ndarray, "n d"], seed: int) -> Float[np.ndarray, "n 2"]:
    """Coordinates by t-SNE (van der Maaten & Hinton 2008) of features scaled to unit variance.

    50 principal components are taken first, as its authors do. Perplexity 30, less where there are few points
    (a third of the others).

    Raises:
        SettingsError: fewer than four points.
    """
    if len(features) < _LEAST:
        raise SettingsError(f"t-SNE of {len(features)} points: raise --classes or --per-class")
    # One thread: sums in another order give other coordinates.
    with threadpool_limits(1):
        scaled = StandardScaler().fit_transform(features.astype(np.float64))
        kept = min(_COMPONENTS, *scaled.shape)
        reduced = PCA(kept, svd_solver="full").fit_transform(scaled)
        perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
        made = TSNE(perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed)
        return np.asarray(made.fit_transform(reduced), dtype=np.float64)
