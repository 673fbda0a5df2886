"""DAZLE (Huynh & Elhamifar, CVPR 2020): dense attribute attention, attribute scores, self-calibration.

``embedding`` and ``settings`` are public, for embeddings that build on DAZLE.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Options, Range, Variant, hookimpl

PAPER = "Huynh & Elhamifar, CVPR 2020"

# Around the authors' values (presets/); the widths of the ranges are ours.
TUNABLE: dict[str, Range | Options] = {
    "embedding.lr": Range(3e-5, 3e-3, log=True),  # theirs: 1e-4
    "embedding.weight_decay": Range(1e-6, 1e-3, log=True),  # 1e-4
    "embedding.momentum": Options((0.0, 0.9)),  # 0.9, on AWA2 0
    "embedding.lambda_cal": Range(1e-2, 1.0, log=True),  # 0.1
    "embedding.attribute_attention": Options((True, False)),  # True, on SUN False
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="embedding",
        name="dazle",
        target="zslbench_dazle.embedding:DAZLE",
        settings="zslbench_dazle.settings:DAZLESettings",
        summary="Attribute scores from dense attention over regions, weighted by attention over attributes",
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="dazle",
        embedding="dazle",
        classifier="attribute-scores",
        group="embedding",
        summary="Attributes attend to regions, and classes are scored by what the attributes find there",
        paper=PAPER,
        settings={"classifier.semantics": "unit"},
        presets="zslbench_dazle.presets",
        tunable=TUNABLE,
        variants=(
            Variant(
                name="no-attribute-attention",
                summary="without attention over attributes: every attribute counts alike",
                settings={"embedding.attribute_attention": False},
            ),
            Variant(
                name="no-calibration",
                summary="without self-calibration loss and margin of unseen classes",
                settings={"embedding.lambda_cal": 0.0, "embedding.offset": 0.0},
            ),
        ),
    )
