"""SC-EGG's equations in NumPy, float64, with gradients by back-propagation on paper.

Written from the paper and its description, not from the plugin: loops and sums as the equations are printed.
Shapes: r (B, R, D), v (A, K), W_α (K, D), W_β (D, K), a (C, A); SC: W1 (A//2, A), b1, W2 (1, A//2), b2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SLOPE = 0.01
Arrays = dict[str, Any]


def far(found: Any, expected: Any) -> float:
    """Largest difference, relative to the largest value (of values near 0, such as a gradient that cancels
    out, to a hundredth)."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    assert found.dtype == np.float64
    if not expected.size:
        return 0.0
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-2))


def unit(rows: Any) -> Any:
    return rows / np.sqrt((rows**2).sum(axis=-1, keepdims=True))


def leaky(x: Any, slope: float = SLOPE) -> Any:
    return np.where(x > 0, x, slope * x)


def random_len(rng: np.random.Generator, b: int, r: int, a: int, d: int, k: int) -> Arrays:
    """Inputs and parameters whose attention is neither flat nor saturated."""
    return {
        "r": rng.normal(size=(b, r, d)),
        "v": rng.normal(size=(a, k)),
        "w_alpha": rng.normal(size=(k, d)) / np.sqrt(k * d),
        "w_beta": rng.normal(size=(d, k)) / np.sqrt(k * d),
    }


def random_sc(rng: np.random.Generator, a: int) -> Arrays:
    half = a // 2
    return {
        "first.weight": rng.normal(size=(half, a)) / np.sqrt(a),
        "first.bias": rng.normal(size=half) / 3,
        "second.weight": rng.normal(size=(1, half)),
        "second.bias": rng.normal(size=1),
    }


# --- LEN and SC ----------------------------------------------------------------------------------


def attention(r: Any, v: Any, w_alpha: Any) -> Any:
    """Weights of eq. (1), (B, R, A)."""
    images, regions, _ = r.shape
    found = np.zeros((images, regions, len(v)))
    for b in range(images):
        for n in range(len(v)):
            logits = np.array([v[n] @ w_alpha @ r[b, i] for i in range(regions)])
            raised = np.exp(logits - logits.max())
            found[b, :, n] = raised / raised.sum()
    return found


def local_features(r: Any, v: Any, w_alpha: Any) -> Any:
    """h of eq. (1), (B, A, D)."""
    weight = attention(r, v, w_alpha)
    found = np.zeros((len(r), len(v), r.shape[2]))
    for b in range(len(r)):
        for n in range(len(v)):
            for i in range(r.shape[1]):
                found[b, n] += weight[b, i, n] * r[b, i]
    return found


def attribute_scores(h: Any, v: Any, w_beta: Any) -> Any:
    """e_l of eq. (2), (B, A)."""
    return np.array([[h[b, n] @ w_beta @ v[n] for n in range(len(v))] for b in range(len(h))])


def compress(h: Any, sc: Arrays | None) -> Any:
    """g of eq. (4), (B, D): the MLP along the attributes, one channel at a time; without ``sc`` the mean."""
    if sc is None:
        return h.mean(axis=1)
    found = np.zeros((len(h), h.shape[2]))
    for b in range(len(h)):
        for d in range(h.shape[2]):
            hidden = leaky(sc["first.weight"] @ h[b, :, d] + sc["first.bias"])
            found[b, d] = sc["second.weight"][0] @ hidden + sc["second.bias"][0]
    return found


def backward(given: Arrays, sc: Arrays | None, to_e: Any, to_g: Any) -> Arrays:
    """Gradients of Σ to_e·e_l + Σ to_g·g in v, W_α, W_β and SC (of the mean: SC None); to_g may be None."""
    r, v, w_alpha, w_beta = (given[name] for name in ("r", "v", "w_alpha", "w_beta"))
    weight, h = attention(r, v, w_alpha), local_features(r, v, w_alpha)
    found: Arrays = {
        "v": np.zeros_like(v),
        "w_alpha": np.zeros_like(w_alpha),
        "w_beta": np.zeros_like(w_beta),
    }
    to_h = np.zeros_like(h)
    if to_g is not None and sc is None:
        to_h += to_g[:, None, :] / h.shape[1]
    elif to_g is not None:
        before = np.einsum("jn,bnd->bjd", sc["first.weight"], h) + sc["first.bias"][:, None]
        to_before = sc["second.weight"][0][:, None] * to_g[:, None, :] * np.where(before > 0, 1, SLOPE)
        found["first.weight"] = np.einsum("bjd,bnd->jn", to_before, h)
        found["first.bias"] = to_before.sum(axis=(0, 2))
        found["second.weight"] = np.einsum("bd,bjd->j", to_g, leaky(before))[None]
        found["second.bias"] = to_g.sum(keepdims=True).reshape(1)
        to_h += np.einsum("jn,bjd->bnd", sc["first.weight"], to_before)
    for b in range(len(r)):
        for n in range(len(v)):
            to_h[b, n] += to_e[b, n] * (w_beta @ v[n])
            found["w_beta"] += to_e[b, n] * np.outer(h[b, n], v[n])
            found["v"][n] += to_e[b, n] * (w_beta.T @ h[b, n])
            to_weight = r[b] @ to_h[b, n]
            to_logits = weight[b, :, n] * (to_weight - weight[b, :, n] @ to_weight)
            to_query = to_logits @ r[b]
            found["w_alpha"] += np.outer(v[n], to_query)
            found["v"][n] += w_alpha @ to_query
    return found


# --- losses --------------------------------------------------------------------------------------


def cross_entropy(scores: Any, labels: Any, among: Any = None) -> float:
    """Eqs. (6), (7): −(1/B) Σ log exp(p(y)) / Σ_y' exp(p(y')); the sum over all classes, or ``among``."""
    total = 0.0
    for row, label in zip(scores, labels, strict=True):
        others = row if among is None else row[among]
        total -= row[label] - (others.max() + np.log(np.exp(others - others.max()).sum()))
    return total / len(scores)


def to_scores(scores: Any, labels: Any, among: Any = None) -> Any:
    """Gradient of :func:`cross_entropy`: (softmax − one-hot) / B on the classes of the sum, 0 elsewhere."""
    found = np.zeros_like(scores)
    columns = np.arange(scores.shape[1]) if among is None else np.asarray(among)
    for b, label in enumerate(labels):
        raised = np.exp(scores[b, columns] - scores[b, columns].max())
        found[b, columns] = raised / raised.sum()
        found[b, label] -= 1
    return found / len(scores)


def scr(p_l: Any, p_g: Any, reduction: str) -> float:
    """Eq. (8), averaged over the batch; ``mean``: over the classes as well."""
    per_image = ((p_l - p_g) ** 2).sum(axis=1)
    return float(per_image.mean() / (p_l.shape[1] if reduction == "mean" else 1))


def affine(net: Arrays, layer: str, x: Any) -> Any:
    return np.array([net[f"{layer}.weight"] @ row + net[f"{layer}.bias"] for row in x])
