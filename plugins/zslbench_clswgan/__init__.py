"""f-CLSWGAN (Xian et al., CVPR 2018) and LisGAN (Li et al., CVPR 2019), which adds soul samples to it."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench.plugin import Component, Method, Options, Range, Reading, Variant, hookimpl

PAPER = "Xian et al., CVPR 2018"
SUMMARY = "Wasserstein GAN whose features a classifier of the seen classes must recognise"
LISGAN_PAPER = "Li et al., CVPR 2019"
LISGAN_SUMMARY = "f-CLSWGAN whose features stay near cluster means of real ones"

# The range of the scripts (see presets/), widened by about half a decade on either side (ours).
TUNABLE: dict[str, Range | Options] = {
    "generator.lr": Range(3e-6, 1e-3, log=True),  # theirs: 1e-5 (AWA1) to 2e-4 (SUN)
    "generator.beta": Range(3e-3, 0.3, log=True),  # 0.01 to 0.1 (FLO)
    "generator.per_class": Options((100, 200, 400, 800, 1600)),  # 100 (SUN, CZSL) to 1800 (AWA1)
    "classifier.lr": Range(2e-4, 3e-3, log=True),  # 5e-4 (SUN, CZSL) to 1e-3
}
LISGAN_TUNABLE = TUNABLE | {
    "generator.lambda_mean": Range(3e-5, 3.0, log=True),  # 1e-4 (FLO, CZSL) to 1 (aPY, CZSL)
    "generator.lambda_sample": Range(1e-5, 0.1, log=True),  # 3e-5 to 3e-2 (FLO)
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="generator",
        name="f-clswgan",
        target="zslbench_clswgan.generator:CLSWGAN",
        settings="zslbench_clswgan.settings:CLSWGANSettings",
        summary=SUMMARY,
        paper=PAPER,
    )
    yield Component(
        kind="generator",
        name="lisgan",
        target="zslbench_clswgan.lisgan:LisGAN",
        settings="zslbench_clswgan.settings:LisGANSettings",
        summary=LISGAN_SUMMARY,
        paper=LISGAN_PAPER,
    )
    yield Component(
        kind="classifier",
        name="lisgan",
        target="zslbench_clswgan.classifier:LisGANSoftmax",
        settings="zslbench_clswgan.settings:LisGANSoftmaxSettings",
        summary="Softmax, optionally refined on the test images it is most certain of (transductive)",
        paper=LISGAN_PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="f-clswgan",
        embedding="identity",
        generator="f-clswgan",
        classifier="softmax",
        summary=SUMMARY,
        paper=PAPER,
        settings={"embedding.normalize": "minmax"},
        presets="zslbench_clswgan.presets",
        tunable=TUNABLE,
        variants=(Variant(name="f-wgan", summary="f-WGAN: without L_CLS", settings={"generator.beta": 0.0}),),
    )
    yield Method(
        name="lisgan",
        embedding="identity",
        generator="lisgan",
        classifier="lisgan",
        summary=LISGAN_SUMMARY,
        paper=LISGAN_PAPER,
        settings={"embedding.normalize": "minmax"},
        presets="zslbench_clswgan.lisgan_presets",
        readings=(
            Reading(name="inductive", summary="the final classifier sees no test image"),
            Reading(
                name="authors",
                summary="as the code: a second classifier also learns from the most certain test images",
                settings={"classifier.refine": True},
                transductive=("test features",),
            ),
        ),
        tunable=LISGAN_TUNABLE,
    )
