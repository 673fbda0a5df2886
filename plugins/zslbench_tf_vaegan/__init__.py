"""TF-VAEGAN (Narayan et al., ECCV 2020): latent embedding feedback and discriminative features.

``networks``, ``losses``, ``settings`` and ``generator`` are public: generators that build on TF-VAEGAN import
them from here.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Variant, hookimpl

PAPER = "Narayan et al., ECCV 2020"


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="generator",
        name="tf-vaegan",
        target="zslbench_tf_vaegan.generator:TFVAEGAN",
        settings="zslbench_tf_vaegan.settings:TFVAEGANSettings",
        summary="VAE-GAN with semantic decoder, feedback module and discriminative feature transform",
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="tf-vaegan",
        embedding="identity",
        generator="tf-vaegan",
        classifier="softmax",
        summary="VAE-GAN with semantic decoder, feedback module and discriminative feature transform",
        paper=PAPER,
        settings={"embedding.normalize": "minmax"},
        presets="zslbench_tf_vaegan.presets",
        variants=(
            Variant(
                name="no-feedback",
                summary="without the feedback module",
                settings={"generator.feedback": False},
            ),
            Variant(
                name="no-transform",
                summary="the classifier sees x alone",
                settings={"generator.transform": False},
            ),
            Variant(
                name="f-vaegan",
                summary="without decoder, feedback and transform: the f-VAEGAN baseline",
                settings={
                    "generator.decoder": False,
                    "generator.feedback": False,
                    "generator.transform": False,
                },
            ),
        ),
    )
