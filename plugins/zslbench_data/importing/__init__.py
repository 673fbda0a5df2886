"""Brings data sets of other origin below the data root: checked, whole, and recorded."""
