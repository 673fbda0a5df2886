"""Test images get other labels."""

from __future__ import annotations

from zslbench.experiment import Outcome
from zslbench_audit.altered import test_rows, with_other_labels
from zslbench_audit.artefacts import differing, fitted
from zslbench_audit.bench import Bench
from zslbench_audit.probes.images import same_scores
from zslbench_audit.probes.probe import Leak, Probe, few
from zslbench_audit.probes.told import unchanged


def look(bench: Bench) -> str:
    honest, other = bench.run(), bench.run(with_other_labels)
    count = len(test_rows(bench.dataset))
    if names := differing(fitted(honest), fitted(other)):
        raise Leak(f"with other labels on the {count} test images, other values in {few(names)}")
    if not same_scores(honest, other):
        raise Leak(f"the {count} test images kept their features and got other labels: their scores changed")
    return (
        f"The {count} test images got classes by chance, in uneven numbers: {unchanged(honest)} and all "
        f"scores stayed the same to the last bit. {_figures(honest, other)}"
    )


def _figures(honest: Outcome, other: Outcome) -> str:
    chance = 100 / len(honest.evaluation.unseen)
    if honest.evaluation.czsl is None:
        return f"U went from {100 * honest.evaluation.u:.1f} to {100 * other.evaluation.u:.1f}."
    acc, now = 100 * honest.evaluation.acc, 100 * other.evaluation.acc
    return (
        f"Acc against these labels is {now:.1f}, and {acc:.1f} against the true ones; chance is {chance:.1f}."
    )


PROBE = Probe("labels", "Nothing that is fitted, chosen or predicted depends on test labels.", look)
