"""f-VAEGAN-D2 (Xian et al., CVPR 2019) and TF-VAEGAN (Narayan et al., ECCV 2020), which adds to it.

``f_vaegan``, ``generator``, ``networks`` and ``settings`` are public, for generators that build on the two.
"""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Options, Range, Reading, Variant, hookimpl

PAPER = "Narayan et al., ECCV 2020"
F_VAEGAN_PAPER = "Xian et al., CVPR 2019"
F_VAEGAN_SUMMARY = "Variational auto-encoder and Wasserstein GAN that share a generator (inductive)"

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
F_VAEGAN_TUNABLE = {
    name: TUNABLE[name] for name in ("generator.lr", "generator.per_class", "classifier.lr")
} | {"generator.lambda_w": Range(0.3, 30.0, log=True)}  # theirs: 1 (SUN) to 10


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="generator",
        name="f-vaegan-d2",
        target="zslbench_tf_vaegan.f_vaegan:FVAEGAN",
        settings="zslbench_tf_vaegan.settings:FVAEGANSettings",
        summary=F_VAEGAN_SUMMARY,
        paper=F_VAEGAN_PAPER,
    )
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
        name="f-vaegan-d2",
        embedding="identity",
        generator="f-vaegan-d2",
        classifier="softmax",
        summary=F_VAEGAN_SUMMARY,
        paper=F_VAEGAN_PAPER,
        settings={"embedding.normalize": "minmax"},
        presets="zslbench_tf_vaegan.f_vaegan_presets",
        readings=(
            Reading(
                name="code",
                summary="λ of the gradient penalty adapts after every generator step, as in TF-VAEGAN's code",
                settings={"generator.adaptive_penalty": True},
            ),
            Reading(
                name="paper",
                summary="as printed: λ is constant",
                settings={"generator.adaptive_penalty": False},
            ),
        ),
        tunable=F_VAEGAN_TUNABLE,
    )
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
                summary="without decoder, feedback and transform: f-vaegan-d2 in epochs of two passes",
                settings={
                    "generator.decoder": False,
                    "generator.feedback": False,
                    "generator.transform": False,
                },
            ),
        ),
    )
