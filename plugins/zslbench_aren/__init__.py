"""AREN (Xie et al., CVPR 2019): attentive region embedding."""
