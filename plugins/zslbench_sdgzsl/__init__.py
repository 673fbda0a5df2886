"""SDGZSL (Chen et al., ICCV 2021): features of a conditional VAE, disentangled before classification."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Options, Range, Variant, hookimpl

PAPER = "Chen et al., ICCV 2021"
SUMMARY = "Conditional VAE; the classifier sees the part of a feature that is related to the class semantics"

# The range of the authors' scripts without fine-tuned features (see presets/), widened by about half a decade
# on either side (ours). Widths and schedules stay at the authors' values.
TUNABLE: dict[str, Range | Options] = {
    "generator.lr": Range(1e-5, 1e-3, log=True),  # 3e-5 (AWA2) to 3e-4 (SUN)
    "generator.relation_weight": Range(0.03, 100.0, log=True),  # 0.1 (aPY) to 30 (SUN)
    "generator.tc_weight": Range(0.001, 3.0, log=True),  # 0.003 (CUB) to 1 (AWA2, aPY)
    "generator.kl_warmup": Range(3e-4, 0.06, log=True),  # 0.001 to 0.02
    "generator.tc_warmup": Range(3e-5, 3e-3, log=True),  # 1e-4 (CUB) to 0.001
    "generator.per_class": Options((400, 800, 1200, 2400, 5000)),  # 400 (SUN) to 5000 (AWA2)
    "classifier.lr": Range(3e-4, 0.015, log=True),  # 1e-3 (SUN) to 5e-3
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="generator",
        name="sdgzsl",
        target="zslbench_sdgzsl.generator:SDGZSL",
        settings="zslbench_sdgzsl.settings:SDGZSLSettings",
        summary=SUMMARY,
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="sdgzsl",
        embedding="identity",
        generator="sdgzsl",
        classifier="softmax",
        summary=SUMMARY,
        paper=PAPER,
        settings={"embedding.normalize": "minmax"},
        presets="zslbench_sdgzsl.presets",
        explain="zslbench_sdgzsl.explained:explain",
        tunable=TUNABLE,
        variants=(
            Variant(
                name="no-relation",
                summary="without the relation network",
                settings={"generator.relation": False},
            ),
            Variant(
                name="no-tc",
                summary="without the total-correlation term and its discriminator",
                settings={"generator.total_correlation": False},
            ),
        ),
    )
