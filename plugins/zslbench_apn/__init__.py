"""APN (Xu et al., NeurIPS 2020): attribute prototype network."""
