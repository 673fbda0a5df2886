"""GCM-CF (Yue et al., CVPR 2021): counterfactual features decide between seen and unseen.

Generator and classifier can be used separately: the classifier follows any generator, and uses
counterfactuals if the generator encodes features.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Options, Range, Variant, hookimpl
from zslbench.plugin import Reading

PAPER = "Yue et al., CVPR 2021"
SUMMARY = "Counterfactuals of each image decide between seen and unseen; then a classifier names the class"

# The range of the authors' scripts (zsl/image-scripts/*/, see presets/), widened by about half a decade on
# either side (ours). Widths and schedules stay at the authors' values.
TUNABLE: dict[str, Range | Options] = {
    "generator.lr": Range(3e-6, 3e-3, log=True),  # theirs: 1e-5 (AWA2) to 1e-3 (SUN)
    "generator.beta": Range(1.0, 12.0),  # 4 (SUN) to 6
    "generator.contrastive_weight": Range(0.1, 3.0, log=True),  # 1
    "generator.temperature": Range(50.0, 1500.0, log=True),  # 500
    "generator.a1": Range(0.0, 1.0),  # 0.01 to 1 (CUB)
    "generator.a2": Range(0.0, 1.0),  # 0.01 to 1 (CUB)
    "generator.per_class": Options((100, 200, 400)),  # 100 (AWA2) to 400 (SUN)
    "classifier.decision.per_class": Options((100, 300, 400, 900, 1800)),  # 300 (CUB) to 1800 (AWA2)
    "classifier.decision.lr": Range(2e-4, 3e-3, log=True),  # 5e-4 (SUN) to 1e-3
    "classifier.unseen.lr": Range(2e-4, 5e-3, log=True),  # 5e-4 (CUB) to 2e-3 (AWA2)
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="generator",
        name="gcm-cf",
        target="zslbench_gcm_cf.generator:GCMCF",
        settings="zslbench_gcm_cf.settings:GCMCFSettings",
        summary="TF-VAEGAN whose encoder ignores the class, trained to make faithful counterfactuals",
        paper=PAPER,
    )
    yield Component(
        kind="classifier",
        name="gcm-cf",
        target="zslbench_gcm_cf.decision:CounterfactualClassifier",
        settings="zslbench_gcm_cf.settings:CounterfactualSettings",
        summary=SUMMARY,
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="gcm-cf",
        embedding="identity",
        generator="gcm-cf",
        classifier="gcm-cf",
        summary=SUMMARY,
        paper=PAPER,
        settings={"embedding.normalize": "minmax"},
        presets="zslbench_gcm_cf.presets",
        tunable=TUNABLE,
        readings=(
            Reading(name="exact", summary="as published: a classifier is fitted for every test image"),
            Reading(
                name="sub-sampled",
                summary="not the published procedure: each test image's classifier sees few features",
                settings={"classifier.decision.mode": "sub-sampled"},
            ),
        ),
        explain="zslbench_gcm_cf.explained:explain",
        variants=(
            Variant(
                name="shared-decision",
                summary="one classifier decides for all images, without counterfactuals",
                settings={"classifier.decision.mode": "shared"},
            ),
            Variant(
                name="no-contrast",
                summary="without L_F",
                settings={"generator.contrastive_weight": 0.0},
            ),
            Variant(
                name="beta-1",
                summary="with β = 1 from the start",
                settings={"generator.beta": 1.0, "generator.warm_up": 0},
            ),
        ),
    )
