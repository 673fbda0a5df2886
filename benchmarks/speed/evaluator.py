"""The evaluator: from scores to figures."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from benchmarks.speed.machine import Machine, Sizes, copy_rate
from benchmarks.speed.measuring import Part
from zslbench.evaluation import Evaluation

OFFSETS = 50
"""Of the plain loop's curve."""


def evaluator(machine: Machine, sizes: Sizes) -> Part:
    """U, S, H and the seen-unseen curve from scores, on the processor."""
    part = Part(
        "evaluator",
        "Evaluator: figures and seen-unseen curve from scores",
        f"The plain loop goes over classes for U, S and H, and over {OFFSETS} offsets for the curve; ours "
        "computes the exact curve.",
    )
    host = torch.device("cpu")
    rate = machine.copied if machine.device == host else copy_rate(host, sizes)
    for images, classes in sizes.scores:
        scores, labels, seen, unseen = _scores(images, classes)
        ours = partial(_our_figures, scores, labels, seen, unseen)
        plain = partial(_literal_figures, scores, labels, seen, unseen)
        found, (u, s, area) = ours(), plain()
        assert abs(found["u"] - u) < 1e-9 and abs(found["s"] - s) < 1e-9, (found, u, s)
        assert abs(found["ausuc"] - area) < 0.02, (found["ausuc"], area)
        times = machine.interleaved({"plain": plain, "ours": ours}, max(2, sizes.repeats - 2))
        # At least, every score is read once.
        limit = scores.nbytes / rate
        part.rows.append(
            {
                "scores": f"{images:,} x {classes}",
                "plain loop, ms": 1e3 * times["plain"].median,
                "ours, ms": 1e3 * times["ours"].median,
                "ratio": times["plain"].median / times["ours"].median,
                "limit, ms": 1e3 * limit,
                "of the limit": limit / times["ours"].median,
            }
        )
    part.checks.append("U and S are the same (1e-9), AUSUC within 0.02 of the coarse curve's")
    return part


def _scores(images: int, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    order = random.permutation(classes)
    unseen, seen = np.sort(order[: max(1, classes // 5)]), np.sort(order[max(1, classes // 5) :])
    labels = random.integers(0, classes, images)
    labels[:classes] = np.arange(classes)
    scores = random.standard_normal((images, classes), dtype=np.float32)
    scores[np.arange(images), labels] += 2
    return scores, labels, seen, unseen


def _our_figures(
    scores: np.ndarray, labels: np.ndarray, seen: np.ndarray, unseen: np.ndarray
) -> dict[str, float]:
    names = tuple(f"class {one}" for one in range(scores.shape[1]))
    return dict(Evaluation(names, seen, unseen, labels, np.arange(len(labels)), scores, None).figures())


def _literal_figures(
    scores: np.ndarray, labels: np.ndarray, seen: np.ndarray, unseen: np.ndarray
) -> tuple[float, float, float]:
    margin = scores[:, seen].max(axis=1) - scores[:, unseen].max(axis=1)
    points = []
    for offset in [0.0, *np.linspace(margin.min() - 1e-3, margin.max() + 1e-3, OFFSETS)]:
        shifted = scores.astype(np.float64)
        shifted[:, seen] -= offset
        found = shifted.argmax(axis=1)
        u, s = (np.mean([np.mean(found[labels == c] == c) for c in side]) for side in (unseen, seen))
        points.append((float(u), float(s)))
    u, s = (np.array(values) for values in zip(*points[1:], strict=True))
    area = float((np.diff(u) * (s[1:] + s[:-1]) / 2).sum())
    return points[0][0], points[0][1], area
