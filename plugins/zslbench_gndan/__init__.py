"""GNDAN (Chen et al., TNNLS 2022): attention over regions beside a graph of attribute-based features.

Its authors published the networks and trained weights with a trained backbone, but no training. This is the
forward pass on frozen regions with a loss and a schedule of ours.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Options, Range, Variant, hookimpl

PAPER = "Chen et al., TNNLS 2022"

# Ours: no training was published. Around DAZLE's and MSDN's values.
TUNABLE: dict[str, Range | Options] = {
    "embedding.lr": Range(3e-5, 3e-3, log=True),
    "embedding.weight_decay": Range(1e-6, 1e-3, log=True),
    "embedding.momentum": Options((0.0, 0.9)),
    "embedding.lambda_cal": Range(1e-2, 1.0, log=True),
    "embedding.dropout": Range(0.0, 0.6),  # code: 0.4
    "embedding.graph_layers": Options((1, 2)),  # code: 2, on AWA2 1
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="embedding",
        name="gndan",
        target="zslbench_gndan.embedding:GNDAN",
        settings="zslbench_gndan.settings:GNDANSettings",
        summary="Attribute scores from part masks and from a graph of attributes, side by side",
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="gndan",
        embedding="gndan",
        classifier="attribute-scores",
        group="embedding",
        summary="Part masks beside graph attention between attributes; training, unpublished, is ours",
        paper=PAPER,
        settings={
            "classifier.semantics": "unit",
            "classifier.head_weights": (0.5, 0.5),  # coef_ran, coef_rgat
        },
        presets="zslbench_gndan.presets",
        tunable=TUNABLE,
        variants=(
            Variant(
                name="ran",
                summary="classes are scored by the region branch alone",
                settings={"classifier.head_weights": (1.0, 0.0)},
            ),
            Variant(
                name="rgat",
                summary="classes are scored by the graph branch alone",
                settings={"classifier.head_weights": (0.0, 1.0)},
            ),
        ),
    )
