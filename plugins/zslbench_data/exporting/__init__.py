"""Writes data sets in the layouts of the field, so that other people's code runs on the same bytes."""
