"""EfficientNet-Lite (Tan & Le, ICML 2019, in its variant for mobile devices).

An inverted residual block (Sandler et al., CVPR 2018, section 3) maps x to

    z = P * r(D * r(E * x)),        x + z where input and output have the same shape, else z,

with a 1 x 1 convolution E to ``expand`` times the channels (absent where ``expand`` is 1), a depthwise one D
and a 1 x 1 projection P, each followed by batch norm, and r = min(max(., 0), 6). Unlike EfficientNet, it has
neither squeeze-and-excitation nor swish. In training there is no drop-connect.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from zslbench_extractors.trainable import Apply, Layer, TrainableBackbone


@dataclass(frozen=True)
class Stage:
    """Inverted residual blocks of one width; the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


@dataclass(frozen=True, kw_only=True)
class EfficientNetLite(TrainableBackbone):
    """A stem, stages of inverted residual blocks, and a head; maps have a pixel for 32 x 32 of the image."""

    epsilon, momentum = 1e-3, 0.01
    mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    same_padding = True

    stem: int
    stages: tuple[Stage, ...]
    head: int

    @property
    def blocks(self) -> tuple[str, ...]:
        return ("stem", *(f"stage{number}" for number in range(1, len(self.stages) + 1)), "head")

    @property
    def channels(self) -> int:
        return self.head

    def run_block(self, block: str, x: Tensor, apply: Apply) -> Tensor:
        if block in ("stem", "head"):
            return F.relu6(apply(x, "conv", 2 if block == "stem" else 1))
        stage = self.stages[self.blocks.index(block) - 1]
        for number in range(stage.repeats):
            z = x if stage.expand == 1 else F.relu6(apply(x, f"{number}.expand", 1))
            z = F.relu6(apply(z, f"{number}.depthwise", 1 if number else stage.stride))
            z = apply(z, f"{number}.project", 1)
            x = x + z if x.shape == z.shape else z
        return x

    def layers(self) -> Iterator[Layer]:
        yield Layer("stem", "conv", (self.stem, 3, 3, 3))
        width = self.stem
        for block, stage in zip(self.blocks[1:-1], self.stages, strict=True):
            for number in range(stage.repeats):
                wide = width * stage.expand
                if stage.expand != 1:
                    yield Layer(block, f"{number}.expand", (wide, width, 1, 1))
                yield Layer(block, f"{number}.depthwise", (wide, 1, stage.kernel, stage.kernel))
                yield Layer(block, f"{number}.project", (stage.channels, wide, 1, 1))
                width = stage.channels
        yield Layer("head", "conv", (self.head, width, 1, 1))
