"""RGEN (Xie et al., ECCV 2020): region graph embedding."""
