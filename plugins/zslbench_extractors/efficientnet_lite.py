"""EfficientNet-Lite (Tan & Le, ICML 2019, in its variant for mobile devices): functions of named tensors.

An inverted residual block (Sandler et al., CVPR 2018, section 3) maps x to

    z = P * r(D * r(E * x)),        x + z where input and output have the same shape, else z,

with a 1 x 1 convolution E to ``expand`` times the channels (absent where ``expand`` is 1), a depthwise one D
and a 1 x 1 projection P, each followed by batch norm, and r = min(max(., 0), 6). Unlike EfficientNet, it has
neither squeeze-and-excitation nor swish. Images are scaled to [-1, 1]; convolutions pad with zeros as
TensorFlow's SAME. In training there is no drop-connect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from zslbench.plugin import Networks

EPSILON, MOMENTUM = 1e-3, 0.01
"""Of batch norm: added to the variance, and the weight of a batch in the running statistics."""


@dataclass(frozen=True)
class Stage:
    """Inverted residual blocks of one width; the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


class Layer(NamedTuple):
    """A convolution without bias and its batch norm."""

    block: str
    name: str
    shape: tuple[int, int, int, int]
    """Of the kernel: output channels, input channels (1 if depthwise), height, width."""


_Apply: TypeAlias = Callable[[Tensor, str, str, int], Tensor]
"""Applies the layer (block, name) with a stride."""


@dataclass(frozen=True)
class EfficientNetLite:
    """A backbone that can train.

    Its networks are one for each of ``blocks``, with ``<layer>.weight``, ``.scale`` and ``.shift`` (of the
    batch norm), and ``statistics``, with ``<block>.<layer>.mean`` and ``.variance``, which have no gradient.
    """

    name: str
    image_size: int
    """Height and width, in pixels, of the images that it was trained on; other sizes work too."""
    stem: int
    stages: tuple[Stage, ...]
    head: int
    """Channels of the maps."""
    weights: Networks = field(default_factory=dict, repr=False, compare=False)

    def networks(self) -> Networks:
        """Its weights before any training of ours."""
        return {net: dict(tensors) for net, tensors in self.weights.items()}

    @property
    def blocks(self) -> tuple[str, ...]:
        """From images to maps."""
        return ("stem", *(f"stage{number}" for number in range(1, len(self.stages) + 1)), "head")

    def maps(
        self, nets: Networks, x: Float[Tensor, "b c h w"], blocks: Sequence[str] | None = None
    ) -> Float[Tensor, "b dv h2 w2"]:
        """The output of the last block, with the batch norms' running statistics.

        Args:
            nets: weights of the blocks; statistics are those in ``state``, else in ``statistics``.
            x: images with values in [0, 1] where ``blocks`` begins with ``stem``, else the output of the
                block before.
            blocks: consecutive blocks; None: all.
        """
        statistics = _statistics(nets)

        def apply(x: Tensor, block: str, name: str, stride: int) -> Tensor:
            own, where = nets[block], f"{block}.{name}"
            scale = own[f"{name}.scale"] * torch.rsqrt(statistics[f"{where}.variance"] + EPSILON)
            shift = own[f"{name}.shift"] - statistics[f"{where}.mean"] * scale
            return _convolve(x, own[f"{name}.weight"] * scale.view(-1, 1, 1, 1), stride, shift)

        return self._through(apply, x, blocks)

    def maps_in_training(
        self, nets: Networks, x: Float[Tensor, "b c h w"], blocks: Sequence[str] | None = None
    ) -> tuple[Float[Tensor, "b dv h2 w2"], dict[str, Tensor]]:
        """The same with the statistics of the batch, and the new running ones, for ``Program.state``."""
        statistics, new = _statistics(nets), {}

        def apply(x: Tensor, block: str, name: str, stride: int) -> Tensor:
            own = nets[block]
            y = _convolve(x, own[f"{name}.weight"], stride)
            variance, mean = torch.var_mean(y.detach(), (0, 2, 3))
            for key, value in (("mean", mean), ("variance", variance)):
                key = f"{block}.{name}.{key}"
                new[key] = statistics[key] + MOMENTUM * (value - statistics[key])
            scale, shift = own[f"{name}.scale"], own[f"{name}.shift"]
            return F.batch_norm(y, None, None, scale, shift, training=True, eps=EPSILON)

        return self._through(apply, x, blocks), new

    def _through(self, apply: _Apply, x: Tensor, blocks: Sequence[str] | None) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)  # a third faster on CPUs
        for block in self.blocks if blocks is None else blocks:
            if block == "stem":
                x = F.relu6(apply(2 * x - 1, block, "conv", 2))
            elif block == "head":
                x = F.relu6(apply(x, block, "conv", 1))
            else:
                stage = self.stages[int(block.removeprefix("stage")) - 1]
                for number in range(stage.repeats):
                    y, stride = x, 1 if number else stage.stride
                    if stage.expand != 1:
                        y = F.relu6(apply(y, block, f"{number}.expand", 1))
                    y = F.relu6(apply(y, block, f"{number}.depthwise", stride))
                    y = apply(y, block, f"{number}.project", 1)
                    x = x + y if x.shape == y.shape else y
        return x

    def layers(self) -> Iterator[Layer]:
        """Every convolution, from images to maps."""
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


def _statistics(nets: Networks) -> dict[str, Tensor]:
    return {**nets.get("statistics", {}), **nets.get("state", {})}


def _convolve(x: Tensor, kernel: Tensor, stride: int, bias: Tensor | None = None) -> Tensor:
    """Depthwise where the kernel has one input channel. SAME: ceil(side / stride) outputs; the odd row and
    column of zeros come last."""
    size, groups = kernel.shape[-1], x.shape[1] if kernel.shape[1] == 1 else 1
    if stride == 1:
        return F.conv2d(x, kernel, bias, padding=size // 2, groups=groups)
    totals = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[:1:-1]]
    padding = [part for total in totals for part in (total // 2, total - total // 2)]
    return F.conv2d(F.pad(x, padding), kernel, bias, stride, groups=groups)
