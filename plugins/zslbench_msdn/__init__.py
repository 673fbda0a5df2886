"""MSDN (Chen et al., CVPR 2022): mutually semantic distillation."""
