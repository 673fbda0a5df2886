"""Backbones that can train: convolutions, each followed by batch norm, as functions of named tensors.

Batch norm (Ioffe & Szegedy, ICML 2015) is s (x - m) / √(v + ε) + t for every channel, where m and v are mean
and variance of the batch, or running ones. With running ones it is part of the convolution with kernel K,
(s/√(v + ε) K) * x + t - s m/√(v + ε), which has the same gradients in K, s and t.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from zslbench.plugin import Networks

Apply: TypeAlias = Callable[[Tensor, str, int], Tensor]
"""Applies a layer of a block, by name, with a stride."""


class Layer(NamedTuple):
    """A convolution without bias and its batch norm."""

    block: str
    name: str
    shape: tuple[int, int, int, int]
    """Of the kernel: output channels, input channels (1 if depthwise), height, width."""


@dataclass(frozen=True, kw_only=True)
class TrainableBackbone(ABC):
    """Images to feature maps.

    Its networks are one for each of ``blocks``, with ``<layer>.weight``, ``.scale`` and ``.shift`` (of the
    batch norm), and ``statistics``, with ``<block>.<layer>.mean`` and ``.variance``, which have no gradient.
    """

    epsilon: ClassVar[float]
    momentum: ClassVar[float]
    """Weight of a batch in the running statistics."""
    mean: ClassVar[tuple[float, float, float]]
    std: ClassVar[tuple[float, float, float]]
    """Mean and standard deviation by which RGB values in [0, 1] are normalised."""
    same_padding: ClassVar[bool] = False
    """Pad like TensorFlow: to ceil(side / stride) outputs, an odd zero last; otherwise by half a kernel on
    each side."""

    name: str
    image_size: int
    """Height and width, in pixels, of the images that it is for; other sizes work too."""
    weights: Networks = field(default_factory=dict, repr=False, compare=False)

    @property
    @abstractmethod
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks, from images to maps; the first is ``stem``."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Number of channels of the maps."""

    @abstractmethod
    def layers(self) -> Iterator[Layer]:
        """Every convolution, from images to maps."""

    @abstractmethod
    def run_block(self, block: str, x: Tensor, apply: Apply) -> Tensor:
        """The output of a block for its input x; ``apply`` runs one of the block's layers."""

    def networks(self) -> Networks:
        """A copy of the weights that training starts from."""
        return {net: dict(tensors) for net, tensors in self.weights.items()}

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

        def layer(block: str, x: Tensor, name: str, stride: int) -> Tensor:
            own, where = nets[block], f"{block}.{name}"
            scale = own[f"{name}.scale"] * torch.rsqrt(statistics[f"{where}.variance"] + self.epsilon)
            shift = own[f"{name}.shift"] - statistics[f"{where}.mean"] * scale
            return self._convolve(x, own[f"{name}.weight"] * scale.view(-1, 1, 1, 1), stride, shift)

        return self._run(layer, x, blocks)

    def maps_in_training(
        self, nets: Networks, x: Float[Tensor, "b c h w"], blocks: Sequence[str] | None = None
    ) -> tuple[Float[Tensor, "b dv h2 w2"], dict[str, Tensor]]:
        """As :meth:`maps`, but with the statistics of the batch; and the new running ones, for
        ``Program.state``."""
        statistics, new = _statistics(nets), {}

        def layer(block: str, x: Tensor, name: str, stride: int) -> Tensor:
            own = nets[block]
            y = self._convolve(x, own[f"{name}.weight"], stride)
            variance, mean = torch.var_mean(y.detach(), (0, 2, 3))
            for kind, value in (("mean", mean), ("variance", variance)):
                key = f"{block}.{name}.{kind}"
                new[key] = statistics[key] + self.momentum * (value - statistics[key])
            scale, shift = own[f"{name}.scale"], own[f"{name}.shift"]
            return F.batch_norm(y, None, None, scale, shift, training=True, eps=self.epsilon)

        return self._run(layer, x, blocks), new

    def _run(
        self, layer: Callable[[str, Tensor, str, int], Tensor], x: Tensor, blocks: Sequence[str] | None
    ) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)  # a third faster on CPUs
        for block in self.blocks if blocks is None else blocks:
            if block == "stem":
                mean, std = (x.new_tensor(one).view(3, 1, 1) for one in (self.mean, self.std))
                x = (x - mean) / std
            x = self.run_block(block, x, partial(layer, block))
        return x

    def _convolve(self, x: Tensor, kernel: Tensor, stride: int, bias: Tensor | None = None) -> Tensor:
        size, groups = kernel.shape[-1], x.shape[1] if kernel.shape[1] == 1 else 1
        if stride == 1 or not self.same_padding:
            return F.conv2d(x, kernel, bias, stride, padding=size // 2, groups=groups)
        totals = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[:1:-1]]
        padding = [part for total in totals for part in (total // 2, total - total // 2)]
        return F.conv2d(F.pad(x, padding), kernel, bias, stride, groups=groups)


def _statistics(nets: Networks) -> dict[str, Tensor]:
    return {**nets.get("statistics", {}), **nets.get("state", {})}
