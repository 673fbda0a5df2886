"""AREN (Xie et al., CVPR 2019): attentive region embedding.

``parts``, ``streams`` and ``settings`` are public, for methods that build on it.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench.plugin import Component, Method, Options, Range, Variant, hookimpl
from zslbench_extractors.declarations import fine_tuned_component, fine_tuned_method

PAPER = "Xie et al., CVPR 2019"
SUMMARY = "Attribute scores from parts that soft masks find, and from their second-order pooling"

# Around the authors' values for CUB (main.py at 99c3163), the only ones known; the ranges are ours.
TUNABLE: dict[str, Range | Options] = {
    "embedding.lr": Range(1e-4, 1e-1, log=True),  # code: 1e-3, with a backbone that trains
    "embedding.threshold": Range(0.0, 0.9),  # code: 0.8
    "embedding.parts": Options((5, 10, 15)),  # code: 10
    "embedding.dropout": Range(0.0, 0.6),  # code: 0.4
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    frozen = Component(
        kind="embedding",
        name="aren-frozen",
        target="zslbench_aren.aren:ARENFrozen",
        settings="zslbench_aren.settings:ARENSettings",
        summary=SUMMARY,
        paper=PAPER,
    )
    yield frozen
    yield fine_tuned_component(
        frozen, target="zslbench_aren.finetuned:AREN", settings="zslbench_aren.settings:FineTunedARENSettings"
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    frozen = Method(
        name="aren-frozen",
        embedding="aren-frozen",
        classifier="attribute-scores",
        group="embedding",
        summary=SUMMARY + " (frozen backbone)",
        paper=PAPER,
        settings={"classifier.semantics": "unit"},
        presets="zslbench_aren.presets",
        tunable=TUNABLE,
        variants=(
            Variant(
                name="parts-only",
                summary="without second-order pooling, as in the released model",
                settings={"embedding.second_order_weight": 0.0},
            ),
        ),
    )
    yield frozen
    yield fine_tuned_method(frozen, presets="zslbench_aren.finetuned_presets")
