"""What generative trainers share. The names below are public: plugins may import them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zslbench.plugin.streams import Streams
from zslbench.training.layers import initial_linear, leaky_relu, linear, of_label
from zslbench.training.wgan import adapt_penalty_weight, gradient_penalty, two_layer_gradient_penalty

if TYPE_CHECKING:
    from zslbench.training.chunks import in_chunks

__all__ = [
    "Streams",
    "adapt_penalty_weight",
    "gradient_penalty",
    "in_chunks",
    "initial_linear",
    "leaky_relu",
    "linear",
    "of_label",
    "two_layer_gradient_penalty",
]


def __getattr__(name: str) -> Any:
    # The interfaces import this package for its streams, and chunks are of the interfaces' rows.
    if name == "in_chunks":
        from zslbench.training.chunks import in_chunks

        return in_chunks
    raise AttributeError(f"module 'zslbench.training' has no attribute {name!r}")
