"""GNDAN (Chen et al., TNNLS 2022): graph and region attention."""
