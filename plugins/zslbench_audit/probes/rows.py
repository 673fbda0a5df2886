"""Test images are taken away, and the others come in another order."""

from __future__ import annotations

import numpy as np

from zslbench.evaluation.evaluator import Evaluation
from zslbench_audit.altered import with_fewer_rows
from zslbench_audit.artefacts import differing, fitted
from zslbench_audit.bench import Bench
from zslbench_audit.probes.probe import Leak, Probe, few
from zslbench_audit.probes.told import unchanged

TOLERANCE = 1e-4
"""Of the largest score: a matrix product of another size rounds differently."""


def look(bench: Bench) -> str:
    honest, fewer = bench.run(), bench.run(with_fewer_rows)
    if names := differing(fitted(honest), fitted(fewer)):
        raise Leak(f"with half of the test images, other values in {few(names)}")
    for task in ("gzsl", "czsl"):
        off = _off(honest.evaluation, fewer.evaluation, task)
        if off.any():
            raise Leak(
                f"{np.count_nonzero(off)} of {len(off)} images got other {task.upper()} scores when half of "
                "the test images were taken away: something is computed over the test set, or a batch of it"
            )
    kept, there = len(fewer.evaluation.rows), len(honest.evaluation.rows)
    return (
        f"{kept} of the {there} test images were kept, in another order: {unchanged(honest)} stayed the same "
        "to the last bit, and each of them got the same scores (up to rounding)."
    )


def _off(honest: Evaluation, fewer: Evaluation, task: str) -> np.ndarray:
    """Which of the images that were kept got other scores."""
    whole, part = getattr(honest, task), getattr(fewer, task)
    if whole is None or part is None:
        return np.zeros(0, dtype=bool)
    of_whole, of_part = ((e.rows if task == "gzsl" else e.rows[e.is_unseen]) for e in (honest, fewer))
    place = {row: number for number, row in enumerate(of_whole.tolist())}
    before = whole[[place[row] for row in of_part.tolist()]].astype(np.float64)
    finite = np.abs(before[np.isfinite(before)])
    scale = float(finite.max()) if len(finite) else 1.0
    close = np.isclose(part, before, rtol=0, atol=TOLERANCE * scale, equal_nan=True)
    return np.asarray(~close.all(axis=1))


PROBE = Probe(
    "rows", "What is said of a test image does not depend on which other test images there are.", look
)
