"""TCN (Jiang et al., ICCV 2019): transferable contrastive network."""
