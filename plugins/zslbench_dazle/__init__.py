"""DAZLE (Huynh and Elhamifar, CVPR 2020): dense attribute attention."""
