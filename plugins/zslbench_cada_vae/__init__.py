"""CADA-VAE (Schönfeld et al., CVPR 2019): aligned variational autoencoders of features and semantics."""
