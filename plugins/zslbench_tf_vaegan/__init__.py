"""TF-VAEGAN (Narayan et al., ECCV 2020): latent embedding feedback and discriminative features.

``generator``, ``networks`` and ``settings`` are public, for generators that build on TF-VAEGAN.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Options, Range, Variant, hookimpl

PAPER = "Narayan et al., ECCV 2020"

# The range of the authors' scripts (run_*_tfvaegan.py at a0de81c, see presets/), widened by about half a
# decade on either side (ours). Widths and schedules stay at the authors' values.
TUNABLE: dict[str, Range | Options] = {
    "generator.lr": Range(3e-6, 3e-3, log=True),  # theirs: 1e-5 (AWA2) to 1e-3 (SUN)
    "generator.feedback_lr": Range(3e-6, 3e-4, log=True),  # 1e-5 to 1e-4
    "generator.decoder_lr": Range(3e-5, 3e-4, log=True),  # 1e-4
    "generator.lambda_r": Range(3e-3, 0.3, log=True),  # 0.01 to 0.1 (AWA2)
    "generator.a1": Range(0.0, 1.0),  # 0.01 to 1 (CUB)
    "generator.a2": Range(0.0, 1.0),  # 0.01 to 1 (CUB)
    "generator.per_class": Options((100, 200, 400, 800, 1600)),  # 300 (CUB) to 1800 (AWA2)
    "classifier.lr": Range(2e-4, 3e-3, log=True),  # 5e-4 (SUN) to 1e-3
}


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
        tunable=TUNABLE,
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
