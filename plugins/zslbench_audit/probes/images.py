"""Test images become noise."""

from __future__ import annotations

import numpy as np

from zslbench.experiment import Outcome
from zslbench_audit.altered import test_rows, with_noise
from zslbench_audit.artefacts import differing, fitted
from zslbench_audit.bench import Bench
from zslbench_audit.probes.probe import Leak, Probe, few
from zslbench_audit.probes.told import unchanged


def look(bench: Bench) -> str:
    honest, noise = bench.run(), bench.run(with_noise)
    count = len(test_rows(bench.dataset))
    if names := differing(fitted(honest), fitted(noise)):
        raise Leak(f"with noise in place of the {count} test images, other values in {few(names)}")
    if same_scores(honest, noise):
        raise Leak(
            f"the scores of the {count} test images stayed the same when they became noise: they follow from "
            "something that was kept, not from the images"
        )
    return (
        f"The {count} test images were replaced by noise: {unchanged(honest)} stayed the same to the last "
        "bit, and only the scores of the test images changed."
    )


def same_scores(one: Outcome, other: Outcome) -> bool:
    """Whether both runs score every test image alike, to the last bit."""
    pairs = (
        (one.evaluation.gzsl, other.evaluation.gzsl),
        (one.evaluation.czsl, other.evaluation.czsl),
    )
    return all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)


PROBE = Probe("images", "Nothing that is fitted or chosen depends on what test images look like.", look)
