"""Whether the test images have a say in what is chosen."""

from __future__ import annotations

from zslbench_audit.altered import with_noise, with_other_labels
from zslbench_audit.artefacts import choices, differing
from zslbench_audit.bench import Bench
from zslbench_audit.probes.probe import Leak, Probe, few
from zslbench_audit.probes.told import chosen


def look(bench: Bench) -> str:
    honest = bench.run()
    for what, alter in (
        ("noise in place of test images", with_noise),
        ("other test labels", with_other_labels),
    ):
        if names := differing(choices(honest), choices(bench.run(alter))):
            raise Leak(f"with {what}, selection finds other values: {few(names)}")
    options = [f"{len(values)} values of {name}" for name, values in bench.recipe.search.items()]
    options = [f"{bench.recipe.epochs} epochs", *options] if bench.recipe.epochs else options
    among = f"Among {', '.join(options)}, " if options else "There was nothing to choose; "
    return (
        f"{among}{chosen(honest)} and every validation figure on the way stayed the same with noise in place "
        "of test images and with other test labels."
    )


PROBE = Probe("selection", "Test images and labels have no say in epochs and hyper-parameters.", look)
