"""MSDN (Chen et al., CVPR 2022): attention from attributes to regions and back, each teaching the other."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Options, Range, Variant, hookimpl

PAPER = "Chen et al., CVPR 2022"

# Around the authors' values (presets/); the widths of the ranges are ours.
TUNABLE: dict[str, Range | Options] = {
    "embedding.lr": Range(3e-5, 3e-3, log=True),  # theirs: 1e-4
    "embedding.weight_decay": Range(1e-6, 1e-3, log=True),  # 1e-4
    "embedding.momentum": Options((0.0, 0.9)),  # 0.9, on AWA2 0
    "embedding.lambda_cal": Range(1e-4, 1.0, log=True),  # 0.1, 1e-4 and 0.12
    "embedding.lambda_distill": Range(1e-5, 1e-1, log=True),  # 1e-3, 1e-2 and 1e-7
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="embedding",
        name="msdn",
        target="zslbench_msdn.embedding:MSDN",
        settings="zslbench_msdn.settings:MSDNSettings",
        summary="Attribute scores of two attention sub-nets, side by side",
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="msdn",
        embedding="msdn",
        classifier="attribute-scores",
        group="embedding",
        summary="Two attention sub-nets, from attributes to regions and back, that teach each other",
        paper=PAPER,
        settings={
            "classifier.semantics": "unit",
            "classifier.head_weights": (0.9, 0.1),  # α_1, α_2
        },
        presets="zslbench_msdn.presets",
        tunable=TUNABLE,
        variants=(
            Variant(
                name="no-distillation",
                summary="without L_distill: the sub-nets share only the attribute vectors",
                settings={"embedding.lambda_distill": 0.0},
            ),
            Variant(
                name="no-calibration",
                summary="without L_SC and margin of unseen classes",
                settings={"embedding.lambda_cal": 0.0, "embedding.offset": 0.0},
            ),
            Variant(
                name="attribute-to-visual",
                summary="classes are scored by the attribute-to-visual sub-net alone",
                settings={"classifier.head_weights": (1.0, 0.0)},
            ),
            Variant(
                name="visual-to-attribute",
                summary="classes are scored by the visual-to-attribute sub-net alone",
                settings={"classifier.head_weights": (0.0, 1.0)},
            ),
        ),
    )
