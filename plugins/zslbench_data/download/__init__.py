"""Gets data sets: the catalogue of what there is, transfers, archives, and what lies under the data root."""
