"""HSVA (Chen et al., NeurIPS 2021): hierarchical alignment of features and semantics."""
