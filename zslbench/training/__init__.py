"""What generative trainers share. The names below are public: plugins may import them."""

from __future__ import annotations

from zslbench.training.chunks import in_chunks
from zslbench.training.layers import initial_linear, leaky_relu, linear
from zslbench.training.streams import Streams
from zslbench.training.wgan import adapt_penalty_weight, gradient_penalty

__all__ = [
    "Streams",
    "adapt_penalty_weight",
    "gradient_penalty",
    "in_chunks",
    "initial_linear",
    "leaky_relu",
    "linear",
]
