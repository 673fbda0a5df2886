"""TCN (Jiang et al., ICCV 2019): transferable contrastive network."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, Method, Range, Variant, hookimpl

PAPER = "Jiang et al., ICCV 2019"


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="classifier",
        name="tcn",
        target="zslbench_tcn.tcn:TCN",
        settings="zslbench_tcn.settings:TCNSettings",
        summary="A network that contrasts an image with a class, with targets for similar unseen classes",
        paper=PAPER,
    )


@hookimpl
def zslbench_methods() -> Iterator[Method]:
    yield Method(
        name="tcn",
        embedding="identity",
        classifier="tcn",
        group="embedding",
        summary="A network that contrasts images with classes, seen and similar unseen ones",
        paper=PAPER,
        settings={"embedding.normalize": "none"},
        presets="zslbench_tcn.presets",
        variants=(
            Variant(
                name="base",
                summary="without the loss on unseen classes",
                settings={"classifier.alpha": 0.0},
            ),
        ),
        tunable={
            "classifier.lr": Range(1e-6, 1e-3, log=True),  # the authors': 1e-5
            "classifier.alpha": Range(1e-3, 1.0, log=True),  # 0.01
            "classifier.ridge": Range(0.1, 10.0, log=True),  # 1
        },
    )
