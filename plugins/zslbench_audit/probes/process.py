"""Global random state, and other settings that a process has once for all."""

from __future__ import annotations

from zslbench_audit.artefacts import differing, fitted
from zslbench_audit.bench import CHANCE, Bench
from zslbench_audit.probes.images import same_scores
from zslbench_audit.probes.probe import Leak, Probe, few


def look(bench: Bench) -> str:
    one, other = bench.run(), bench.run(chance=CHANCE + 1)
    if names := differing(fitted(one), fitted(other)):
        raise Leak(f"torch, numpy and random seeded differently: other values in {few(names)}")
    if not same_scores(one, other):
        raise Leak("torch, numpy and random seeded differently: other scores of the test images")
    left = bench.left()
    if left.settings:
        raise Leak(f"a run leaves behind another value of {few(left.settings)}")
    drawn = (
        f" It draws from the global generator of {', '.join(left.drawn)}, as building layers does: nothing "
        "depends on it, and runs put its state back."
        if left.drawn
        else ""
    )
    return (
        "Seeding torch, numpy and random differently changed no fitted tensor, choice or score; number "
        f"types, threads, gradient mode and the like were left as they were.{drawn}"
    )


PROBE = Probe(
    "globals",
    "Nothing depends on the process's global random state, and a run leaves the process alone.",
    look,
)
