"""SC-EGG (Hong et al., IJCAI 2022): semantic compression embedding guided generation.

``scen`` turns region features into dense-semantic features g, ``eggn`` learns to synthesise them under the
guidance of SCEN's classifier. Both stand for themselves: any generator works on scen's g, and eggn takes
its guidance from any embedding that has class scores.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Reading, Variant, hookimpl
from zslbench_sc_egg.differences import authors_settings

PAPER = "Hong et al., IJCAI 2022"


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
        kind="generator",
        name="eggn",
        target="zslbench_sc_egg.eggn:EGGN",
        settings="zslbench_sc_egg.settings:EGGNSettings",
        summary="TF-VAEGAN guided by the embedding's class scores",
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="sc-egg",
        embedding="scen",
        generator="eggn",
        classifier="softmax",
        summary="Dense-semantic features by attribute attention, synthesised under a classifier's guidance",
        paper=PAPER,
        presets="zslbench_sc_egg.presets",
        readings=(
            Reading(name="paper", summary="as printed; what print leaves open is ours"),
            Reading(name="authors", summary="as the authors' code does", settings=authors_settings()),
        ),
        explain="zslbench_sc_egg.differences:explain",
        published="zslbench_sc_egg:published_ablation.csv",
        variants=VARIANTS,
    )


# Table 2; what it leaves open is read as section 9 of the authors' differences recommends.
VARIANTS = (
    Variant(
        name="baseline",
        summary="Baseline: L_VG alone on the regions' mean",
        components={"embedding": "pooled"},
        settings={"generator.lambda_s": 0.0, "generator.lambda_u": 0.0},
    ),
    Variant(name="no-lce", summary="SC-EGG w/o L_LCE", settings={"embedding.lambda_l": 0.0}),
    Variant(name="no-gce", summary="SC-EGG w/o L_GCE", settings={"embedding.lambda_g": 0.0}),
    Variant(name="no-scr", summary="SC-EGG w/o L_SCR", settings={"embedding.scr": False}),
    Variant(
        name="no-egs",
        summary="SC-EGG w/o L_EGS",
        settings={"generator.lambda_s": 0.0, "generator.lambda_u": 0.0},
    ),
    Variant(name="full", summary="SC-EGG (full)"),
)
