"""CADA-VAE (Schönfeld et al., CVPR 2019): aligned variational autoencoders of features and semantics.

``aligned``, ``networks`` and ``settings`` are public, for generators that build on CADA-VAE.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Options, Range, Reading, Variant, hookimpl

PAPER = "Schönfeld et al., CVPR 2019"

# Around the authors' values, the same for all data sets (presets/); the widths of the ranges are ours.
TUNABLE: dict[str, Range | Options] = {
    "generator.lr": Range(3e-5, 1e-3, log=True),  # theirs: 1.5e-4
    "generator.beta": Range(0.05, 1.0, log=True),  # 0.25
    "generator.gamma": Range(0.5, 10.0, log=True),  # 2.37
    "generator.delta": Range(1.0, 30.0, log=True),  # 8.13
    "generator.latent": Options((32, 64, 128, 256)),  # 64
    "generator.per_class": Options((100, 200, 400, 800)),  # 400
    "classifier.lr": Range(2e-4, 5e-3, log=True),  # 1e-3
}


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="generator",
        name="cada-vae",
        target="zslbench_cada_vae.generator:CADAVAE",
        settings="zslbench_cada_vae.settings:CADAVAESettings",
        summary="Latent codes from two aligned VAEs, of features and of class semantics",
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="cada-vae",
        embedding="identity",
        generator="cada-vae",
        classifier="softmax",
        summary="A classifier of latent codes from two aligned VAEs, of features and of class semantics",
        paper=PAPER,
        settings={"embedding.normalize": "minmax", "classifier.batch_size": 32},
        presets="zslbench_cada_vae.presets",
        readings=(
            Reading(name="authors", summary="as the released code computes it"),
            Reading(
                name="paper",
                summary="as printed: z ~ N(μ, σ²) with an ε for each dimension, and L_DA in both orders",
                settings={
                    "generator.sigma_exponent": 0.5,
                    "generator.shared_noise": False,
                    "generator.both_orders": True,
                },
            ),
        ),
        explain="zslbench_cada_vae.differences:explain",
        tunable=TUNABLE,
        variants=(
            Variant(
                name="ca-vae",
                summary="CA-VAE: cross-alignment without distribution alignment",
                settings={"generator.delta": 0.0},
            ),
            Variant(
                name="da-vae",
                summary="DA-VAE: distribution alignment without cross-alignment",
                settings={"generator.gamma": 0.0},
            ),
        ),
    )
