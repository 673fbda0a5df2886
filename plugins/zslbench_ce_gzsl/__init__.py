"""CE-GZSL (Han et al., CVPR 2021): generated features in a contrastive embedding."""
