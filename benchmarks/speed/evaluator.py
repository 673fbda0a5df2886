"""The evaluator: from scores to figures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from benchmarks.speed.machine import Machine, Sizes, copy_rate
from benchmarks.speed.measuring import Part
from zslbench.evaluation import Evaluation, Sides

OFFSETS = 50
"""Offsets on the plain loop's curve."""


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
        scored = _scored(images, classes)
        calls = {"plain": partial(_literal_figures, scored), "ours": partial(_figures, scored)}
        (u, s, area), found = (call() for call in calls.values())
        np.testing.assert_allclose([found["u"], found["s"]], [u, s], rtol=0, atol=1e-9)
        np.testing.assert_allclose(found["ausuc"], area, rtol=0, atol=0.02)
        times = machine.interleaved(calls, max(2, sizes.repeats - 2))
        plain_ms, ours_ms = (1e3 * one.median for one in times.values())
        limit = 1e3 * images * classes * 4 / rate  # every score is read once
        part.rows.append(
            {
                "scores": f"{images:,} x {classes}",
                "plain loop, ms": plain_ms,
                "ours, ms": ours_ms,
                "ratio": plain_ms / ours_ms,
                "limit, ms": limit,
                "of the limit": limit / ours_ms,
            }
        )
    part.checks.append("U and S are the same (1e-9), AUSUC within 0.02 of the coarse curve's")
    return part


def _scored(images: int, classes: int) -> Evaluation:
    random = np.random.default_rng(0)
    order = random.permutation(classes)
    unseen, seen = np.sort(order[: max(1, classes // 5)]), np.sort(order[max(1, classes // 5) :])
    labels = random.integers(0, classes, images)
    labels[:classes] = np.arange(classes)
    scores = random.standard_normal((images, classes), dtype=np.float32)
    scores[np.arange(images), labels] += 2
    names = tuple(f"class {one}" for one in range(classes))
    rows, is_unseen = np.arange(images), np.isin(labels, unseen)
    return Evaluation(names, seen, unseen, labels, rows, is_unseen, None, None, {"gzsl": scores})


def _figures(scored: Evaluation) -> dict[str, float]:
    sides = Sides.of(scored.scores["gzsl"], scored.seen, scored.unseen)
    return dict(replace(scored, gzsl=sides).figures())


def _literal_figures(scored: Evaluation) -> tuple[float, float, float]:
    scores, labels, seen, unseen = scored.scores["gzsl"], scored.labels, scored.seen, scored.unseen
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
