"""FREE (Chen et al., ICCV 2021): feature refinement of synthetic and real features."""
