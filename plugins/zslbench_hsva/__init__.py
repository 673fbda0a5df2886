"""HSVA (Chen et al., NeurIPS 2021): hierarchical semantic-visual adaptation, built on CADA-VAE."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Options, Range, Reading, Variant, hookimpl

PAPER = "Chen et al., NeurIPS 2021"

# Around the authors' values (presets/); the widths of the ranges are ours. Widths and schedules stay theirs.
TUNABLE: dict[str, Range | Options] = {
    "generator.lr": Range(3e-5, 1e-3, log=True),  # theirs: 1.5e-4
    "generator.classifier_lr": Range(2e-4, 5e-3, log=True),  # 1e-3
    "generator.beta": Range(0.05, 1.0, log=True),  # 0.25
    "generator.gamma": Range(0.5, 10.0, log=True),  # 2.37
    "generator.delta": Range(1.0, 30.0, log=True),  # 8
    "generator.latent": Options((32, 64, 128, 256)),  # 64, SUN 128
    "generator.per_class": Options((100, 200, 400, 800)),  # 400
    "classifier.lr": Range(2e-4, 5e-3, log=True),  # 1e-3
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="generator",
        name="hsva",
        target="zslbench_hsva.generator:HSVA",
        settings="zslbench_hsva.settings:HSVASettings",
        summary="Latent codes of features and semantics, aligned in structure and distribution",
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="hsva",
        embedding="identity",
        generator="hsva",
        classifier="softmax",
        summary="A classifier of latent codes, aligned between features and semantics in two steps",
        paper=PAPER,
        settings={"embedding.normalize": "minmax", "classifier.batch_size": 32},
        presets="zslbench_hsva.presets",
        readings=(
            Reading(name="uniform", summary="as the released code, but CORAL draws unseen classes uniformly"),
            Reading(
                name="authors",
                summary="as the released code: CORAL draws unseen classes by their share of test images",
                settings={"generator.unseen_prior": "test"},
                transductive=("test class prior",),
            ),
        ),
        explain="zslbench_hsva.differences:explain",
        tunable=TUNABLE,
        variants=(
            Variant(
                name="no-structure",
                summary="without the steps that maximise and minimise the discrepancy",
                settings={"generator.structure_adaptation": False},
            ),
            Variant(
                name="no-distribution",
                summary="without Wasserstein distance and CORAL",
                settings={"generator.distance": False, "generator.coral": False},
            ),
            Variant(name="no-coral", summary="without CORAL", settings={"generator.coral": False}),
        ),
    )
