"""Downloads data sets: the catalogue, transfers, archives, and what is on the disk."""
