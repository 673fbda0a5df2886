"""Looks a data set over: everything that can be wrong, all at once."""
