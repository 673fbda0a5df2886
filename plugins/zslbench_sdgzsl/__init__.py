"""SDGZSL (Chen et al., ICCV 2021): semantics disentangled from features."""
