"""Composer (Huynh and Elhamifar, NeurIPS 2020): compositional features from regions."""
