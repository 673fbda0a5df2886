"""CE-GZSL (Han et al., CVPR 2021): a feature generator with a contrastive embedding."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Options, Range, Variant, hookimpl

PAPER = "Han et al., CVPR 2021"
SUMMARY = "Wasserstein GAN with an embedding learnt by instance- and class-level contrast"

# The numbers of the presets, widened by about half a decade on either side (ours). Widths and schedules stay.
TUNABLE: dict[str, Range | Options] = {
    "generator.lr": Range(2e-5, 3e-4, log=True),  # 5e-5 (SUN) to 1e-4
    "generator.instance_weight": Range(3e-4, 0.03, log=True),  # 0.001 to 0.01 (SUN)
    "generator.class_weight": Range(3e-4, 0.03, log=True),  # 0.001 to 0.01 (SUN)
    "generator.instance_temperature": Range(0.03, 30.0, log=True),  # 0.1 to 10 (AWA2)
    "generator.class_temperature": Range(0.03, 3.0, log=True),  # 0.1 to 1 (AWA2)
    "generator.per_class": Options((50, 100, 300, 600, 1200, 2400)),  # 100 (CUB, SUN) to 2400 (AWA2)
    "classifier.lr": Range(3e-4, 3e-3, log=True),  # 1e-3
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="generator",
        name="ce-gzsl",
        target="zslbench_ce_gzsl.generator:CEGZSL",
        settings="zslbench_ce_gzsl.settings:CEGZSLSettings",
        summary=SUMMARY,
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="ce-gzsl",
        embedding="identity",
        generator="ce-gzsl",
        classifier="softmax",
        summary=SUMMARY,
        paper=PAPER,
        settings={"embedding.normalize": "minmax"},
        presets="zslbench_ce_gzsl.presets",
        explain="zslbench_ce_gzsl.explained:explain",
        tunable=TUNABLE,
        variants=(
            Variant(
                name="no-instance",
                summary="class-level supervision alone",
                settings={"generator.instance_level": False},
            ),
            Variant(
                name="no-class",
                summary="instance-level supervision alone",
                settings={"generator.class_level": False},
            ),
        ),
    )
