"""Settings of GNDAN. "Code" is shiming-chen/GNDAN at d837442: model.py and config/, which hold the networks
but no training; the training here is ours, after DAZLE and MSDN."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, NonNegativeFloat, model_validator

from zslbench.plugin import Count, Epochs
from zslbench_dazle.settings import AttentionSettings


class GNDANSettings(AttentionSettings):
    epochs: Epochs = 30
    """Passes over the training images (ours: MSDN's on CUB)."""
    parts: Count = 10
    """Number K of part masks (code: AREN_parts; 6 on AWA2)."""
    threshold: Annotated[NonNegativeFloat, Field(le=1)] = 0.0
    """A part is dropped if its mask's peak is below this fraction of the highest (code:
    AREN_map_threshold; 0.6 on AWA2)."""
    dropout: Annotated[NonNegativeFloat, Field(lt=1)] = 0.4
    """Dropout of RAN's attribute scores (code: AREN_dropout)."""
    graph_width: Count = 256
    """Width of a graph attention layer, all heads together (code: GAT_embed_dim)."""
    graph_layers: Count = 2
    """Number of graph attention layers (code: GAT_layer_num; 1 on AWA2)."""
    graph_heads: Count = 1
    """Attention heads of each layer (code: GAT_heads; 8 on AWA2)."""

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.graph_width % self.graph_heads:
            raise ValueError(f"graph_heads {self.graph_heads} does not divide graph_width {self.graph_width}")
        return self
