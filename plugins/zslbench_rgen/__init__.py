"""RGEN (Xie et al., ECCV 2020): parts of an image reason about each other on a graph. Reconstructed."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench.plugin import Component, Method, Range, Variant, hookimpl
from zslbench_aren import TUNABLE as AREN_TUNABLE
from zslbench_extractors.declarations import fine_tuned_component, fine_tuned_method

PAPER = "Xie et al., ECCV 2020"
SUMMARY = "Attribute scores from AREN's parts and from a graph of them (reconstructed: no code published)"
TUNABLE = AREN_TUNABLE | {  # the ranges are ours
    "embedding.transfer_weight": Range(1e-3, 1.0, log=True),
    "embedding.balance_weight": Range(1e-3, 1.0, log=True),
}
VARIANTS = (
    Variant(
        name="no-transfer", summary="without the transfer loss", settings={"embedding.transfer_weight": 0.0}
    ),
    Variant(
        name="no-balance", summary="without the balance loss", settings={"embedding.balance_weight": 0.0}
    ),
)


@hookimpl
def zslbench_components() -> Iterator[Component]:
    frozen = Component(
        kind="embedding",
        name="rgen-frozen",
        target="zslbench_rgen.rgen:RGENFrozen",
        settings="zslbench_rgen.settings:RGENSettings",
        summary=SUMMARY,
        paper=PAPER,
    )
    yield frozen
    yield fine_tuned_component(
        frozen, target="zslbench_rgen.finetuned:RGEN", settings="zslbench_rgen.settings:FineTunedRGENSettings"
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    frozen = Method(
        name="rgen-frozen",
        embedding="rgen-frozen",
        classifier="attribute-scores",
        group="embedding",
        summary=SUMMARY,
        paper=PAPER,
        settings={"classifier.semantics": "unit"},
        presets="zslbench_rgen.presets",
        tunable=TUNABLE,
        variants=VARIANTS,
    )
    yield frozen
    yield fine_tuned_method(frozen, presets="zslbench_rgen.finetuned_presets")
