"""CLIP's zero-shot rule (Radford et al., ICML 2021)."""
