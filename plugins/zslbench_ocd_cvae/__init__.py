"""OCD-CVAE (Keshari et al., CVPR 2020): a conditional VAE with hard samples. Unverified: no code."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench.plugin import Component, Method, Options, Range, Variant, hookimpl

PAPER = "Keshari et al., CVPR 2020"
SUMMARY = "Conditional VAE and regressor, with hard samples between classes (unverified: no reference code)"


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="generator",
        name="ocd-cvae",
        target="zslbench_ocd_cvae.generator:OCDCVAE",
        settings="zslbench_ocd_cvae.settings:OCDCVAESettings",
        summary=SUMMARY,
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="ocd-cvae",
        embedding="identity",
        generator="ocd-cvae",
        classifier="softmax",
        summary=SUMMARY,
        paper=PAPER,
        settings={"embedding.normalize": "minmax"},
        presets="zslbench_ocd_cvae.presets",
        # All ranges are ours.
        tunable={
            "generator.lr": Range(3e-5, 3e-3, log=True),
            "generator.lambda_r": Range(0.1, 100.0, log=True),
            "generator.lambda_t": Range(1e-3, 10.0, log=True),
            "generator.lambda_c": Range(1e-3, 10.0, log=True),
            "generator.spread": Range(1.0, 3.0),
            "generator.per_class": Options((100, 200, 400, 800, 1600)),
            "classifier.lr": Range(2e-4, 3e-3, log=True),
        },
        variants=(
            Variant(
                name="no-obtl",
                summary="without the online batch triplet loss",
                settings={"generator.lambda_t": 0.0},
            ),
            Variant(name="no-cl", summary="without the centre loss", settings={"generator.lambda_c": 0.0}),
        ),
    )
