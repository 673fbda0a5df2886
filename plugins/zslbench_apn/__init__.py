"""APN (Xu et al., NeurIPS 2020): attribute prototypes over the regions of an image."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench.plugin import Component, Method, Range, Reading, Variant, hookimpl
from zslbench_extractors.declarations import fine_tuned_component, fine_tuned_method

PAPER = "Xu et al., NeurIPS 2020"
SUMMARY = "Attribute prototypes, compared with every region, and losses that keep them apart and local"

# The range of the authors' scripts (script/*_GZSL.sh), widened (ours).
TUNABLE = {
    "embedding.lr": Range(1e-5, 1e-2, log=True),  # theirs: 1e-4 to 1e-3 (SUN)
    "embedding.regression_weight": Range(1e-3, 1.0, log=True),  # 0 (AWA2) to 0.1 (CUB)
    "embedding.decorrelation_weight": Range(1e-7, 0.1, log=True),  # 5e-7 (AWA2) to 0.04 (CUB)
    "embedding.compactness_weight": Range(1e-9, 1e-4, log=True),  # 6.4e-8 (CUB) to 1.3e-5 (SUN)
    "classifier.offset": Range(0.0, 0.9),  # 0.4 (SUN) to 0.7
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    frozen = Component(
        kind="embedding",
        name="apn-frozen",
        target="zslbench_apn.apn:APNFrozen",
        settings="zslbench_apn.settings:APNSettings",
        summary=SUMMARY,
        paper=PAPER,
    )
    yield frozen
    yield fine_tuned_component(
        frozen, target="zslbench_apn.finetuned:APN", settings="zslbench_apn.settings:FineTunedAPNSettings"
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    frozen = Method(
        name="apn-frozen",
        embedding="apn-frozen",
        classifier="attribute-scores",
        group="embedding",
        summary=SUMMARY + " (frozen backbone)",
        paper=PAPER,
        settings={"classifier.softmax": True, "classifier.head_weights": (1.0, 0.0)},
        presets="zslbench_apn.presets",
        readings=(
            Reading(name="authors", summary="as the authors' code computes the losses"),
            Reading(
                name="paper",
                summary="eqs. (1) to (5) as printed",
                settings={"embedding.reading": "paper", "embedding.pool": "average"},
            ),
        ),
        tunable=TUNABLE,
        variants=VARIANTS,
    )
    yield frozen
    yield fine_tuned_method(frozen, presets="zslbench_apn.finetuned_presets")


VARIANTS = (
    Variant(
        name="base",
        summary="BaseMod alone",
        settings={
            f"embedding.{term}": 0.0
            for term in (
                "local_class_weight",
                "base_regression_weight",
                "regression_weight",
                "base_decorrelation_weight",
                "decorrelation_weight",
                "compactness_weight",
            )
        },
    ),
    Variant(
        name="no-decorrelation",
        summary="without L_AD",
        settings={"embedding.base_decorrelation_weight": 0.0, "embedding.decorrelation_weight": 0.0},
    ),
    Variant(
        name="fused",
        summary="predicts from the mean of BaseMod's and ProtoMod's scores (ours)",
        settings={"classifier.head_weights": (0.5, 0.5)},
    ),
)
