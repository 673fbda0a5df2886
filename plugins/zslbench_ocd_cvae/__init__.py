"""OCD-CVAE (Keshari et al., CVPR 2020): over-complete distributions of hard samples."""
