"""SC-EGG (Hong et al., IJCAI 2022): semantic compression embedding guided generation.

``scen`` turns region features into dense-semantic features g, ``eggn`` learns to synthesise them under the
guidance of SCEN's classifier. Each works without the other: any generator can use scen's g, and any embedding
that has class scores can guide eggn.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench.plugin import Component, Method, Options, Range, Reading, Variant, hookimpl

PAPER = "Hong et al., IJCAI 2022"

# Section 4 of the paper ("paper") and the authors' code ("code", config_sun.yaml at c6a188f), widened by half
# a decade on either side (ours). SCEN's settings are left out, so that a search trains it once for all
# trials.
TUNABLE: dict[str, Range | Options] = {
    "generator.lr": Range(3e-5, 3e-3, log=True),  # paper: 1e-4; code: 1e-3
    "generator.lambda_r": Range(3e-3, 0.3, log=True),  # paper: 0.01; TF-VAEGAN on AWA2: 0.1
    "generator.lambda_s": Range(1e-3, 1.0, log=True),  # paper: 0.1; code (rec_seen_cls_weight): 1
    "generator.lambda_u": Range(1e-3, 1.0, log=True),  # paper: 0.1; code (gen_unseen_cls_weight): 0.001
    "generator.a1": Range(0.0, 1.0),  # code: 0; TF-VAEGAN: 0.01 to 1
    "generator.a2": Range(0.0, 1.0),  # code: 0; TF-VAEGAN: 0.01 to 1
    "generator.per_class": Options((100, 200, 400, 800, 1600)),  # code: 400; TF-VAEGAN: 300 to 1800
    "classifier.lr": Range(2e-4, 3e-3, log=True),  # code: 5e-4; TF-VAEGAN: 1e-3
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="embedding",
        name="scen",
        target="zslbench_sc_egg.scen:SCEN",
        settings="zslbench_sc_egg.settings:SCENSettings",
        summary="Attribute attention over regions, compressed to one dense-semantic feature",
        paper=PAPER,
    )
    yield Component(
        kind="embedding",
        name="len",
        target="zslbench_sc_egg.scen:LEN",
        settings="zslbench_sc_egg.settings:SCENSettings",
        summary="The attribute scores of SCEN's local branch, without the global feature",
        paper=PAPER,
    )
    yield Component(
        kind="generator",
        name="eggn",
        target="zslbench_sc_egg.eggn:EGGN",
        settings="zslbench_sc_egg.settings:EGGNSettings",
        summary="TF-VAEGAN guided by the embedding's class scores",
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    from zslbench_sc_egg.differences import authors_settings  # help calls no hook of methods

    yield Method(
        name="sc-egg",
        embedding="scen",
        generator="eggn",
        classifier="softmax",
        summary="Dense-semantic features by attribute attention, synthesised under a classifier's guidance",
        paper=PAPER,
        presets="zslbench_sc_egg.presets",
        readings=(
            Reading(name="paper", summary="as printed; what the paper leaves open is ours"),
            Reading(name="authors", summary="as the authors' code computes it", settings=authors_settings()),
        ),
        explain="zslbench_sc_egg.differences:explain",
        published="zslbench_sc_egg:published_ablation.csv",
        tunable=TUNABLE,
        variants=VARIANTS,
    )


# The rows of Table 2.
VARIANTS = (
    Variant(
        name="baseline",
        summary="Baseline: L_VG alone on the regions' mean",
        components={"embedding": "pooled"},
        settings={"generator.lambda_s": 0.0, "generator.lambda_u": 0.0},
    ),
    Variant(name="no-lce", summary="SC-EGG w/o L_LCE", settings={"embedding.stage1.lambda_l": 0.0}),
    Variant(name="no-gce", summary="SC-EGG w/o L_GCE", settings={"embedding.stage1.lambda_g": 0.0}),
    Variant(name="no-scr", summary="SC-EGG w/o L_SCR", settings={"embedding.stage2.scr": False}),
    Variant(
        name="no-egs",
        summary="SC-EGG w/o L_EGS",
        settings={"generator.lambda_s": 0.0, "generator.lambda_u": 0.0},
    ),
    Variant(name="full", summary="SC-EGG (full)"),
)
