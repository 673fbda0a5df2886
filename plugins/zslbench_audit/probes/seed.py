"""The same seed again, and another one."""

from __future__ import annotations

from zslbench_audit.artefacts import differing, fitted
from zslbench_audit.bench import Bench
from zslbench_audit.probes.images import same_scores
from zslbench_audit.probes.probe import Leak, Probe, few


def look(bench: Bench) -> str:
    one, again, other = bench.run(), bench.run(turn=1), bench.run(seed=bench.seed + 1)
    if names := differing(fitted(one), fitted(again)):
        raise Leak(f"two runs with seed {bench.seed} differ in {few(names)}")
    if not same_scores(one, again):
        raise Leak(f"two runs with seed {bench.seed} score test images differently")
    if differing(fitted(one), fitted(other)) or not same_scores(one, other):
        return f"Two runs with seed {bench.seed} agree to the last bit; seed {bench.seed + 1} differs."
    if bench.recipe.schedule is None:
        return "Two runs agree to the last bit, and so does one with another seed: the method is closed form."
    raise Leak(
        f"seeds {bench.seed} and {bench.seed + 1} give the same values though the method is trained: its "
        "chance does not come from the run's seed, and several seeds would say nothing of its spread"
    )


PROBE = Probe("seed", "The same seed gives the same bits, and another seed another result.", look)
