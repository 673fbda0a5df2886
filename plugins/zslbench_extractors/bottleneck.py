"""ResNet of bottlenecks (He et al., CVPR 2016, section 4.1), for training; resnet.py extracts with it.

A bottleneck maps x to r(C * r(B * r(A * x)) + S * x) with 1 x 1, 3 x 3 and 1 x 1 convolutions A, B and C and
r = max(., 0); S is a 1 x 1 convolution in the first of a stage, else the identity. B has the stride, as in
torchvision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from zslbench_extractors.trainable import Apply, Layer, TrainableBackbone


@dataclass(frozen=True, kw_only=True)
class BottleneckResNet(TrainableBackbone):
    """A stem and four stages; maps have a pixel for 32 x 32 of the image."""

    epsilon, momentum = 1e-5, 0.1
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    depths: tuple[int, ...]
    """Bottlenecks of each stage."""
    stem: int = 64

    @property
    def blocks(self) -> tuple[str, ...]:
        return ("stem", *(f"stage{number}" for number in range(1, len(self.depths) + 1)))

    @property
    def channels(self) -> int:
        return self._width(len(self.depths))

    def _width(self, stage: int) -> int:
        return self.stem << (stage + 1)

    def run_block(self, block: str, x: Tensor, apply: Apply) -> Tensor:
        if block == "stem":
            return F.max_pool2d(F.relu(apply(x, "conv", 2)), 3, 2, 1)
        stage = self.blocks.index(block)
        for number in range(self.depths[stage - 1]):
            stride = 2 if number == 0 and stage > 1 else 1
            z = F.relu(apply(x, f"{number}.conv1", 1))
            z = F.relu(apply(z, f"{number}.conv2", stride))
            z = apply(z, f"{number}.conv3", 1)
            x = F.relu(z + (x if number else apply(x, f"{number}.shortcut", stride)))
        return x

    def layers(self) -> Iterator[Layer]:
        yield Layer("stem", "conv", (self.stem, 3, 7, 7))
        width = self.stem
        for stage, depth in enumerate(self.depths, start=1):
            block, wide = f"stage{stage}", self._width(stage)
            for number in range(depth):
                yield Layer(block, f"{number}.conv1", (wide // 4, width, 1, 1))
                yield Layer(block, f"{number}.conv2", (wide // 4, wide // 4, 3, 3))
                yield Layer(block, f"{number}.conv3", (wide, wide // 4, 1, 1))
                if number == 0:
                    yield Layer(block, f"{number}.shortcut", (wide, width, 1, 1))
                width = wide
