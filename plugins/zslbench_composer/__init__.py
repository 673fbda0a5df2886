"""Composer (Huynh & Elhamifar, NeurIPS 2020): unseen classes' features are composed of seen ones'."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench.plugin import Component, Method, Options, Range, Variant, hookimpl

PAPER = "Huynh & Elhamifar, NeurIPS 2020"
SUMMARY = "Dense attribute attention, trained on features of unseen classes composed of seen ones' attributes"

# Around the authors' values (presets/); the widths of the ranges are ours.
TUNABLE: dict[str, Range | Options] = {
    "embedding.phase2.lr": Range(3e-5, 3e-3, log=True),  # theirs: 1e-4
    "embedding.phase2.support": Options((1, 3, 5)),  # 5
    "embedding.phase2.temperature": Range(1.0, 20.0, log=True),  # 5, on AWA2 10
    "embedding.phase2.candidates": Options((10, 50)),  # 50
    "embedding.phase2.composed_weight": Range(0.1, 2.0),  # 1
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="embedding",
        name="composer",
        target="zslbench_composer.composer:Composer",
        settings="zslbench_composer.settings:ComposerSettings",
        summary=SUMMARY,
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="composer",
        embedding="composer",
        classifier="attribute-scores",
        group="generative",
        summary=SUMMARY,
        paper=PAPER,
        settings={"classifier.semantics": "unit"},
        presets="zslbench_composer.presets",
        tunable=TUNABLE,
        variants=(
            Variant(
                name="no-composition",
                summary="phase 2 on seen images alone",
                settings={"embedding.phase2.composed_weight": 0.0},
            ),
        ),
    )
