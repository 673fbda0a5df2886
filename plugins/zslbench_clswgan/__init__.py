"""f-CLSWGAN (Xian et al., CVPR 2018) and LisGAN (Li et al., CVPR 2019): generators taught by a classifier."""
