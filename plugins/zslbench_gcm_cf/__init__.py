"""GCM-CF (Yue et al., CVPR 2021): counterfactual features decide between seen and unseen."""
