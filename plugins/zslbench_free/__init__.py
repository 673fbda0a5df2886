"""FREE (Chen et al., ICCV 2021): feature refinement of synthetic and real features."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Options, Range, Variant, hookimpl
from zslbench.plugin import Reading

PAPER = "Chen et al., ICCV 2021"
SUMMARY = "f-VAEGAN with a feature refinement network, trained by a margin centre loss"

# The range of the authors' scripts (image-scripts/run_*.py, see presets/), widened by about half a decade on
# either side (ours). Widths and schedules stay at the authors' values.
TUNABLE: dict[str, Range | Options] = {
    "generator.lr": Range(3e-6, 1e-3, log=True),  # theirs: 1e-5 (AWA) to 2e-4 (SUN)
    "generator.refiner_lr": Range(3e-5, 3e-4, log=True),  # 1e-4
    "generator.margin": Range(15.0, 600.0, log=True),  # 50 (AWA) to 200 (CUB, FLO)
    "generator.gamma": Range(0.1, 0.9),  # 0.1 (AWA1) to 0.8 (CUB, SUN, FLO)
    "generator.semantic_weight": Range(3e-4, 0.3, log=True),  # 0.001 to 0.1 (SUN)
    "generator.per_class": Options((100, 300, 700, 1200, 2400)),  # 300 (SUN) to 4600 (AWA)
    "classifier.lr": Range(2e-4, 3e-3, log=True),  # 5e-4 (SUN) to 1e-3
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="generator",
        name="free",
        target="zslbench_free.generator:FREE",
        settings="zslbench_free.settings:FREESettings",
        summary=SUMMARY,
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="free",
        embedding="identity",
        generator="free",
        classifier="softmax",
        summary=SUMMARY,
        paper=PAPER,
        settings={"embedding.normalize": "minmax"},
        presets="zslbench_free.presets",
        tunable=TUNABLE,
        readings=(
            Reading(name="paper", summary="as printed; the code â of an image is its mean"),
            Reading(
                name="authors",
                summary="as the authors' code: random â, for test images too; weighted L_R-SC; y′ may be y",
                settings={
                    "generator.code": "draw",
                    "generator.own_class": True,
                    "generator.reconstruction_norm": "weighted",
                },
            ),
        ),
        variants=(
            Variant(name="no-samc", summary="without L_SAMC", settings={"generator.samc_weight": 0.0}),
            Variant(
                name="no-semantic", summary="without L_R-SC", settings={"generator.semantic_weight": 0.0}
            ),
        ),
    )
